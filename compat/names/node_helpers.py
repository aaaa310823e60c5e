"""Small helpers of nodes, by the names packs know."""

import hashlib

import torch
from PIL import Image, ImageFile, UnidentifiedImageError

from diffusion.images.batch import same_channels


def conditioning_set_values(conditioning, values={}, append=False):
    """A copy with keys set in every entry; append: added to the list that is there."""
    changed = []
    for embeddings, options in conditioning:
        options = dict(options)
        for key, value in values.items():
            options[key] = [*options[key], *value] if append and options.get(key) is not None else value
        changed.append([embeddings, options])
    return changed


def pillow(fn, arg):
    """fn(arg); once more with unfinished pictures allowed if PIL could not read it."""
    try:
        return fn(arg)
    except (OSError, UnidentifiedImageError, ValueError):
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return fn(arg)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def hasher():
    """The function files are told apart by."""
    from comfy.cli_args import args

    return getattr(hashlib, getattr(args, "default_hashing_function", "sha256"))


def string_to_torch_dtype(string):
    """ "fp32", "fp16", "bf16", or None."""
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(string)


def image_alpha_fix(destination, source):
    """Both with the channels of the one that has more."""
    return same_channels(destination, source)


def open_image(path):
    return pillow(Image.open, path)
