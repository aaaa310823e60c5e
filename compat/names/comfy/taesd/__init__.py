"""Tiny autoencoders, by the names packs know."""
