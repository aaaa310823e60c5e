"""Makes images from tensors; a library that needs no nodes and no server."""
