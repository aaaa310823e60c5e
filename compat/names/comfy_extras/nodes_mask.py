"""Masks: the classes of our nodes, and the function packs take from here."""

from diffusion.images.composite import paste


def composite(destination, source, x, y, mask=None, multiplier=8, resize_source=False):
    """source on destination, (B, C, H, W). x, y: in the destination's own positions times multiplier."""
    return paste(destination, source, int(x) // multiplier, int(y) // multiplier, mask, resize_source)
