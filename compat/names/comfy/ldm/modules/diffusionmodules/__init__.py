"""Parts of diffusion networks, by the names packs know."""
