"""`execution`: what packs ask the executor."""
