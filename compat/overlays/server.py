"""`server`: the server as packs see it from a worker."""
