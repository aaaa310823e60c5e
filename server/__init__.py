"""HTTP and websocket: the wire contract, and nothing that computes."""
