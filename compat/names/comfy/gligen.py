"""Boxes with phrases. Our own nodes apply them; the classes of the interface are not offered."""
