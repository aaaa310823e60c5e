"""Runs graphs of nodes and knows nothing about tensors, HTTP or files."""
