"""Nodes whose inputs cannot be made from a declaration alone; their tests make them from small models."""

MADE_WITH_MODELS: frozenset[str] = frozenset()
