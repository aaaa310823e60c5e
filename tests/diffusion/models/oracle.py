"""The same random weights in our network and in diffusers' one."""

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def randomised(network: Network, seed: int = 0) -> Network:
    """Every parameter random, also those that start as zeros and ones, so that none of them can be misplaced."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3
        centre = 0.0 if parameter.dim() > 1 else 0.5
        parameter.data = centre + spread * torch.randn(parameter.shape, generator=generator)
    return network.eval().requires_grad_(False)


def copy_weights(theirs: nn.Module, ours: nn.Module, names: Mapping[str, str]) -> None:
    """Loads their tensors into our network; names: theirs -> ours. Every tensor on both sides takes part."""
    weights = {names[key]: tensor for key, tensor in theirs.state_dict().items()}
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
    ours.load_state_dict({key: tensor.reshape(shapes[key]) for key, tensor in weights.items()}, assign=True)
    ours.eval().requires_grad_(False)


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, relative to the spread of the values."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.std()).item()


TOLERANCE = 1e-4
