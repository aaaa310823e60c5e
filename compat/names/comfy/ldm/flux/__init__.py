"""Flux, by the names packs know."""
