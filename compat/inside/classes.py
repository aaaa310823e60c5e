"""Classes of networks that packs compare with, or inherit from."""

import importlib
from typing import Any

from torch import nn

from compat.placeholder import NotPromised


def ours(module: str, name: str, full_name: str) -> Any:
    """A class of our library; where it has none, one that cannot be made but may be compared with."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return _absent(full_name)


def _absent(full_name: str) -> Any:
    def refuse(self: object, *args: object, **kwargs: object) -> None:
        if type(self).__dict__.get("_absent") is not None:
            raise NotPromised(full_name)
        nn.Module.__init__(self)  # type: ignore[arg-type]  # a class of a pack's own that inherits from it

    return type(full_name.rpartition(".")[2], (nn.Module,), {"__init__": refuse, "_absent": True})
