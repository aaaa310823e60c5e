"""The newer style of nodes: a schema instead of class attributes. `latest` holds it; versioned names are the same."""
