"""Who keeps a network. Known with the network itself, so that nobody who has a handle can go past it."""

from typing import cast

from torch import nn

from diffusion.memory.in_place import InPlace
from diffusion.memory.work import Keeper

_KEEPER = "_heddle_keeper"


def keep(network: nn.Module, keeper: Keeper, name: str) -> None:
    """Let a network be kept. name: for people, "SDXL network of base.safetensors"."""
    # In the instance's own dictionary: it lives and dies with the network, and no module list or state dict sees it.
    vars(network)[_KEEPER] = keeper
    keeper.adopt(network, name)


def keeper_of(network: nn.Module) -> Keeper:
    """Who keeps it; for a network that nobody keeps, one that leaves it where it is."""
    return cast(Keeper | None, vars(network).get(_KEEPER)) or InPlace()
