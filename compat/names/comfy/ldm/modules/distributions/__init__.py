"""Distributions, by the names packs know."""
