"""LTX-Video, by the names packs know."""
