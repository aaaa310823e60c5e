"""Networks, by the names packs know."""
