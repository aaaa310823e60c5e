"""Upscalers from state dicts."""


def load_state_dict(state_dict):
    """A network that enlarges pictures; `scale` says how many times."""
    from comfy.sd import _in_a_file

    from compat.world import world

    return _in_a_file(state_dict, world().store.upscaler).eval()
