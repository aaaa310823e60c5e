"""Small things."""

import importlib


def exists(x):
    return x is not None


def default(val, d):
    if exists(val):
        return val
    return d() if callable(d) and not isinstance(d, type) else d


def get_obj_from_str(string, reload=False):
    module, name = string.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def instantiate_from_config(config):
    return get_obj_from_str(config["target"])(**config.get("params", {}))


def count_params(model, verbose=False):
    return sum(parameter.numel() for parameter in model.parameters())


def append_dims(x, target_dims):
    return x[(...,) + (None,) * (target_dims - x.ndim)]
