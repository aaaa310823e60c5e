"""Folders as diffusers writes them."""

from compat.world import world


def load_diffusers(model_path, output_vae=True, output_clip=True, embedding_directory=None):
    """(model, clip, vae)."""
    from comfy.sd import _of_loaded

    return _of_loaded(world().store.checkpoint(model_path), True, output_clip, output_vae)
