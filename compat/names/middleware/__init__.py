"""Middlewares of the server."""
