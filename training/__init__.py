"""How the starter model was made: the world it knows, and the code that taught it."""
