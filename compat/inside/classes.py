"""Classes of networks that packs compare with, or inherit from."""

import importlib
from typing import Any

from torch import nn

from compat.placeholder import NotPromised, placeholder


def ours(module: str, name: str, full_name: str) -> Any:
    """A class of our library; where it has none, one that cannot be made but may be compared with."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return absent(full_name)


def absent(full_name: str, base: type = nn.Module) -> Any:
    """A class that can be inherited from and compared with, and not made."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_absent" in type(self).__dict__:
            raise NotPromised(full_name)
        base.__init__(self)  # a class of a pack's own that inherits from it

    return type(
        full_name.rpartition(".")[2], (_Absent,) if base is object else (base,), {"__init__": refuse, "_absent": True}
    )


class _AbsentNames(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return placeholder(f"{cls.__module__}.{cls.__name__}.{name}")


class _Absent(metaclass=_AbsentNames):
    """What is asked of the class itself is a placeholder."""
