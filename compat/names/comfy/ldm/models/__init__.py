"""Autoencoders, by the names packs know."""
