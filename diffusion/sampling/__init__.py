"""Everything between a network and a finished latent."""
