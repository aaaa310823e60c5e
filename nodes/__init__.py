"""The nodes people wire together; thin, with the algorithms in `diffusion`."""
