"""Control networks, by the names packs know."""
