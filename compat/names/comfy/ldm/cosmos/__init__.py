"""Cosmos, by the names packs know."""
