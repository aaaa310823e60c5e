"""Steps of SD3's and Flux's networks, ours and diffusers', from the same random weights."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from torch import Tensor

from diffusion.checkpoints.joins import joined
from diffusion.checkpoints.weights import Weights
from diffusion.families.registry import recognise
from diffusion.models.patches import channels_first_tokens, from_channels_first

TRANSFORMERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sd3": (
        SD3Transformer2DModel,
        {
            "num_layers": 24,
            "num_attention_heads": 24,
            "caption_projection_dim": 1536,
            "pos_embed_max_size": 192,
        },
    ),
    "flux": (FluxTransformer2DModel, {"num_layers": 19, "num_single_layers": 38, "guidance_embeds": True}),
}
"""As published."""


def networks(name: str, dtype: torch.dtype, device: str, blocks: int | None) -> tuple[Any, Any]:
    """Our network and diffusers' with the same weights; those that we stack are there twice."""
    kind, config = TRANSFORMERS[name]
    if blocks is not None:
        config = {key: min(blocks, n) if key.endswith("_layers") else n for key, n in config.items()}
    with torch.device("meta"):
        theirs: Any = kind(**config)
    theirs = theirs.to(dtype=dtype).to_empty(device=device)
    for tensor in [*theirs.parameters(), *theirs.buffers()]:
        spread = tensor[0].numel() ** -0.5 if tensor.dim() > 1 else 0.5
        tensor.data.uniform_(-spread, spread)
    weights = Weights.of(theirs.eval().requires_grad_(False).state_dict())
    found = recognise(weights.shapes)
    assert found is not None
    assert found.joins is not None
    with torch.device("meta"):
        ours = found.family.build(found.config)
    ours.load_state_dict(dict(joined(weights, found.joins)), assign=True)
    return ours.eval().requires_grad_(False), theirs


def transformer_steps(
    name: str, side: int, dtype: torch.dtype, device: str, blocks: int | None = None
) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """One step of ours and one of theirs, for a square picture of `side` pixels.

    SD3: positive and negative in one batch. Flux: one prompt, since it needs no negative one.
    """
    ours, theirs = networks(name, dtype, device, blocks)
    batch, tokens = (2, 154) if name == "sd3" else (1, 512)
    x = torch.randn(batch, 16, side // 8, side // 8, dtype=dtype, device=device)
    context = torch.randn(batch, tokens, 4096, dtype=dtype, device=device)
    if name == "sd3":
        y, times = torch.randn(batch, 2048, dtype=dtype, device=device), torch.full((batch,), 500.0, device=device)
        return lambda: ours(x, times, context, y), lambda: theirs(x, context, y, times).sample
    y = torch.randn(batch, 768, dtype=dtype, device=device)
    times, guidance = torch.full((batch,), 0.5, device=device), torch.full((batch,), 3.5, device=device)
    rows = side // 16
    places = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(rows), indexing="ij"), dim=-1).reshape(-1, 2)
    ids = torch.cat([torch.zeros(rows * rows, 1), places], dim=1).to(device)
    text_ids = torch.zeros(tokens, 3, device=device)

    def their_step() -> Tensor:
        out = theirs(channels_first_tokens(x), context, y, times, ids, text_ids, guidance=guidance).sample
        return from_channels_first(out, side // 8, side // 8)

    return lambda: ours(x, times, context, y, guidance=guidance), their_step
