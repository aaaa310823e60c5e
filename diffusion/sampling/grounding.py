"""Boxes with phrases during sampling (GLIGEN): hooks that let the network attend to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from diffusion.models.gligen import MAX_BOXES, Gligen
from diffusion.patches.hooks import BlockInfo, ModelHooks


@dataclass(frozen=True, slots=True)
class GroundedBox:
    """What a rectangle of the picture shows."""

    phrase: Tensor
    """(1, P): the pooled embedding of its description."""
    height: int
    """In latent positions, as the other three."""
    width: int
    y: int
    x: int


@dataclass(frozen=True, eq=False)
class Grounding:
    """Boxes for one network of gated layers; none at all is what the negative prompt is answered with."""

    network: Gligen
    boxes: tuple[GroundedBox, ...]

    def empty(self) -> "Grounding":
        return replace(self, boxes=())

    def computing(self, network_of: Callable[[nn.Module], nn.Module]) -> "Grounding":
        """The same by the network as it computes in a run."""
        return replace(self, network=cast(Gligen, network_of(self.network)))

    @torch.no_grad()
    def hooks(self, image: Tensor) -> ModelHooks:
        """image: the latent that is sampled, (B, C, H, W). Raises ValueError for phrases of another text encoder."""
        network = self.network
        dtype = next(network.parameters()).dtype
        inputs = self._inputs(image.shape[2], image.shape[3])
        tokens = network.position_net(*(each.to(image.device, dtype) for each in inputs))

        def fuse(hidden: Tensor, info: BlockInfo) -> Tensor:
            grounding = tokens.expand(len(hidden), -1, -1)
            return network(hidden.to(tokens.dtype), grounding, info).to(hidden.dtype)

        return ModelHooks(between_attentions=(fuse,))

    def _inputs(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Phrases (1, 30, P), boxes (1, 30, 4) in shares of the picture, and which of them are used (1, 30)."""
        expected = self.network.config.phrase_width
        phrases = torch.zeros(1, MAX_BOXES, expected)
        boxes, used = torch.zeros(1, MAX_BOXES, 4), torch.zeros(1, MAX_BOXES)
        for i, box in enumerate(self.boxes[:MAX_BOXES]):
            if box.phrase.shape[-1] != expected:
                raise ValueError(
                    f"This GLIGEN model takes phrases of width {expected}, not {box.phrase.shape[-1]}: "
                    "they were encoded by the text encoder of another model line"
                )
            phrases[0, i] = box.phrase[0].float().cpu()
            edges = (box.x / width, box.y / height, (box.x + box.width) / width, (box.y + box.height) / height)
            boxes[0, i] = torch.tensor(edges)
            used[0, i] = 1
        return phrases, boxes, used


def grounding_of(options: Mapping[str, Any]) -> Grounding | None:
    """What a conditioning brings under "gligen": ("position", network, [(phrase, height, width, y, x), …])."""
    value: Sequence[Any] | None = options.get("gligen")
    if value is None:
        return None
    _, network, boxes = value
    return Grounding(network, tuple(GroundedBox(*box) for box in boxes))
