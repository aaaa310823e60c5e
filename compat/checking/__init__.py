"""Tries the nodes of a pack with made-up inputs, and says what is wrong with what they do."""
