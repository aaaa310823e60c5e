"""What happened to jobs is asked of the server."""
