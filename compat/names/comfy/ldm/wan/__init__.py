"""Wan, by the names packs know."""
