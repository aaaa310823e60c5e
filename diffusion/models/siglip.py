"""SigLIP image encoders (arXiv:2303.15343): transformers' own class, configured from the shapes of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import SiglipVisionModel

MEAN = STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class SiglipConfig:
    width: int
    mlp_width: int
    layers: int
    patch: int
    side: int
    """Of the square of patches."""
    heads: int = 16

    @property
    def size(self) -> int:
        """Of the square picture it sees, in pixels; the one of 27 patches of 14 leaves the last 6 pixels unseen."""
        return 384 if (self.side, self.patch) == (27, 14) else self.side * self.patch


def read_siglip_config(shapes: Mapping[str, tuple[int, ...]]) -> SiglipConfig | None:
    """From names as in transformers, without "vision_model."; None if these are not such an encoder's tensors."""
    patches = shapes.get("embeddings.patch_embedding.weight")
    positions = shapes.get("embeddings.position_embedding.weight")
    if patches is None or positions is None or "head.probe" not in shapes:
        return None
    layers = {m[1] for name in shapes if (m := re.match(r"encoder\.layers\.(\d+)\.", name))}
    return SiglipConfig(
        width=patches[0],
        mlp_width=shapes["encoder.layers.0.mlp.fc1.weight"][0],
        layers=len(layers),
        patch=patches[2],
        side=round(positions[0] ** 0.5),
        heads=12 if patches[0] == 768 else 16,  # base; large and so400m. Shapes do not tell.
    )


def build_siglip(config: SiglipConfig) -> SiglipVisionModel:
    """The network; under `torch.device("meta")` it takes no memory."""
    from transformers import SiglipVisionConfig, SiglipVisionModel  # slow to import: on first use

    network = SiglipVisionModel(
        SiglipVisionConfig(
            hidden_size=config.width,
            intermediate_size=config.mlp_width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            patch_size=config.patch,
            image_size=config.size,
        )
    )
    # This buffer is in no file, so under torch.device("meta") nothing would ever fill it.
    positions = torch.arange(config.side**2, device="cpu").expand(1, -1)
    network.embeddings.register_buffer("position_ids", positions, persistent=False)
    return network.eval()
