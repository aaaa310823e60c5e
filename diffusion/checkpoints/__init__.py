"""Checkpoint files: what is in them, how to open them, how to write them back."""
