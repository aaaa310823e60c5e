"""Who keeps a network. Known with the network itself, so that nobody who has a handle can go past it."""

from typing import cast

from torch import nn

from diffusion.memory.in_place import InPlace
from diffusion.memory.work import Keeper

_KEPT = "_heddle_keeper"


class _Kept:
    """Stands in a network's dictionary for its keeper, who knows many more networks: none of those is part of it."""

    __slots__ = ("keeper",)
    nbytes = 0

    def __init__(self, keeper: Keeper | None = None):
        self.keeper = keeper

    def __reduce__(self) -> "tuple[type[_Kept], tuple[()]]":
        return _Kept, ()  # a copied or pickled network is nobody's


def keep(network: nn.Module, keeper: Keeper, name: str) -> None:
    """Let a network be kept. name: for people, "SDXL network of base.safetensors"."""
    # In the instance's own dictionary: it lives and dies with the network, and no module list or state dict sees it.
    vars(network)[_KEPT] = _Kept(keeper)
    keeper.adopt(network, name)


def keeper_of(network: nn.Module) -> Keeper:
    """Who keeps it; for a network that nobody keeps, one that leaves it where it is."""
    kept = cast(_Kept, vars(network).get(_KEPT, _Kept()))
    return kept.keeper or InPlace()
