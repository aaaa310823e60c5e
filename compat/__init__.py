"""The names third-party packs import, laid over our own parts from outside."""
