"""Routes; answered by the server."""
