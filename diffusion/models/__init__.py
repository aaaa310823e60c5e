"""Architectures only: configuration, modules, forward. Attribute names are those of the published checkpoints."""
