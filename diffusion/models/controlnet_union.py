"""ControlNet++ (https://github.com/xinsir6/ControlNetPlus): one ControlNet for many kinds of hints.

It is told the kind of a hint beside the time, and adapts the hint's features to it by a small transformer. Its tokens
attend to each other; in the authors' program, and in diffusers, the pictures of a batch do so in their place, which
makes a picture depend on the others beside it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion.models.controlnet import ControlNet
from diffusion.models.embeddings import sinusoidal
from diffusion.models.residual_attention import ResidualAttention
from diffusion.models.unet_config import Shapes, UNetConfig
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype

UNION_NAMES = ("task_embedding", "transformer_layes.", "spatial_ch_projs.", "control_add_embedding.")
"""Beginnings of the names of what an ordinary ControlNet does not have."""
KINDS = (
    "openpose",
    "depth",
    "hed/pidi/scribble/ted",
    "canny/lineart/anime_lineart/mlsd",
    "normal",
    "segment",
    "tile",
    "repaint",
)
"""Of hints, in the order of the published networks; the first of them knew six."""
_TYPE_WIDTH = 256


@dataclass(frozen=True, slots=True)
class UnionConfig:
    types: int
    layers: int
    heads: int = 8
    """Shapes do not tell."""


def read_union_config(shapes: Shapes) -> UnionConfig | None:
    """From names as in the published file; None if the ControlNet with these tensors is an ordinary one."""
    kinds = shapes.get("task_embedding")
    if kinds is None or "control_add_embedding.linear_1.weight" not in shapes:
        return None
    layers = {m[1] for name in shapes if (m := re.match(r"transformer_layes\.(\d+)\.", name))}
    return UnionConfig(kinds[0], len(layers))


class TypeEmbedding(nn.Module):
    """Which kinds of hints there are, as something to add to the embedding of the time."""

    def __init__(self, types: int, width: int):
        super().__init__()
        self.linear_1 = Linear(types * _TYPE_WIDTH, width)
        self.linear_2 = Linear(width, width)

    def forward(self, present: Tensor) -> Tensor:
        """present: (types,), 1 for each kind that is there. Returns (1, width)."""
        numbers = sinusoidal(present, _TYPE_WIDTH).reshape(1, -1).to(compute_dtype(self))
        return self.linear_2(nn.functional.silu(self.linear_1(numbers)))


class UnionControlNet(ControlNet):
    def __init__(self, config: UNetConfig, union: UnionConfig):
        super().__init__(config)
        self.union = union
        width = config.base_width
        self.task_embedding = nn.Parameter(torch.zeros(union.types, width))
        # Spelled like this in the published file.
        self.transformer_layes = nn.ModuleList(ResidualAttention(width, union.heads) for _ in range(union.layers))
        self.spatial_ch_projs = Linear(width, width)
        self.control_add_embedding = TypeEmbedding(union.types, 4 * width)

    @property
    def modes(self) -> Mapping[str, int]:
        """Number of each kind of hint that the network knows."""
        return {name: i for i, name in enumerate(KINDS[: self.union.types])}

    def type_embedding(self, mode: int | None) -> Tensor:
        """(1, E)."""
        present = torch.zeros(self.union.types, device=self.task_embedding.device)
        if mode is not None:
            present[mode] = 1
        return self.control_add_embedding(present)

    def hint_features(self, hidden: Tensor, hint: Tensor, mode: int | None) -> Tensor:
        """What a hint adds to the first feature map: as it is where its kind is left open, else adapted to its kind."""
        features = super().hint_features(hidden, hint, mode)
        if mode is None:
            return features
        seen, own = features.mean(dim=(2, 3)) + self.task_embedding[mode], hidden.mean(dim=(2, 3))
        tokens = torch.stack([seen.expand_as(own), own], dim=1)
        for layer in self.transformer_layes:
            tokens = layer(tokens)
        return features + self.spatial_ch_projs(tokens[:, 0])[:, :, None, None]
