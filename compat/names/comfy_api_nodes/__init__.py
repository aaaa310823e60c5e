"""Nodes that call paid services; not offered."""
