"""Parts of networks, by the names packs know."""
