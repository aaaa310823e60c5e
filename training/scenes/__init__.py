"""Pictures drawn by code, with captions that say exactly what is in them."""
