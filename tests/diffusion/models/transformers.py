"""Small transformers of diffusers with random weights, and ours built from the same tensors through the layouts."""

from typing import Any

import torch
from torch import nn

from diffusion.checkpoints.joins import joined
from diffusion.checkpoints.weights import Weights
from diffusion.families.registry import Recognised, recognise
from tests.diffusion.models.oracle import randomised


def ours_like(theirs: Any) -> tuple[Any, Recognised]:
    """Our network with the weights of diffusers', recognised in diffusers' layout; every tensor counts."""
    weights = Weights.of(theirs.state_dict())
    found = recognise(weights.shapes)
    assert found is not None
    if found.joins is not None:
        used = {piece.name for pieces in found.joins.values() for piece in pieces}
        assert used == set(weights), sorted(set(weights) - used)[:5]
        tensors = dict(joined(weights, found.joins))
    else:
        names = found.names or {name: name for name in weights}
        tensors = {ours: weights[name] for name, ours in names.items()}
    with torch.device("meta"):
        ours: nn.Module = found.family.build(found.config)
    ours.load_state_dict(tensors, assign=True)
    return ours.eval().requires_grad_(False), found


def pair(kind: type, **config: Any) -> tuple[Any, Any]:
    """Ours and theirs."""
    theirs = randomised(kind(**config))
    return ours_like(theirs)[0], theirs
