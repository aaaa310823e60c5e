"""Builds transformers' CLIP text encoder around a file's tensors, and runs it as far as a model needs.

transformers takes seconds to import, so this happens when the first encoder is built and not before.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from diffusion.checkpoints.build import WithoutInitialising
from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.weights import Weights
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.text.networks import States, TextEncoderError, call_in, load_exactly
from diffusion.text.tokenise import END_ID
from diffusion.text.tokens import Chunk, ids_of, put_vectors

PUBLISHED_LAYERS = {"clip_h": 24}
"""Some SD 2 fine-tunes leave out the last layer, which is never used; layers are still counted as if it were there."""


def build_clip(tensors: Mapping[str, Tensor], spec: TextEncoderSpec) -> nn.Module:
    """transformers' CLIPTextModelWithProjection over these tensors, which are not copied.

    tensors: named as in published transformers files (`text_model.…`). Sizes are read off the shapes; `spec` says what
    shapes do not tell. Raises TextEncoderError with what is missing or too much.
    """
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    weights = Weights.of(tensors)
    shapes = weights.shapes
    sizes = _sizes(shapes)
    projection = shapes.get("text_projection.weight")
    config = CLIPTextConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.width,
        intermediate_size=sizes.mlp_width,
        projection_dim=projection[0] if projection else sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=max(1, sizes.width // spec.head_width),
        max_position_embeddings=sizes.positions,
        hidden_act="quick_gelu" if spec.activation == "quick_gelu" else "gelu",
        eos_token_id=END_ID,
    )
    config._attn_implementation = "sdpa"  # pyright: ignore[reportPrivateUsage]  # the constructor's is untyped
    with torch.device("meta"), WithoutInitialising():
        network: Any = CLIPTextModelWithProjection(config)
    if projection is None:
        network.text_projection = None
    load_exactly(network, weights, spec.name)
    # The one buffer that is not in files; it is on the meta device until now.
    network.text_model.embeddings.position_ids = torch.arange(sizes.positions)[None]
    return network


@dataclass(frozen=True)
class _Sizes:
    vocabulary: int
    width: int
    mlp_width: int
    layers: int
    positions: int


def _sizes(shapes: Mapping[str, Shape]) -> _Sizes:
    layers = {int(m[1]) for name in shapes if (m := re.match(r"text_model\.encoder\.layers\.(\d+)\.", name))}
    try:
        vocabulary, width = shapes["text_model.embeddings.token_embedding.weight"]
        positions, _ = shapes["text_model.embeddings.position_embedding.weight"]
        mlp_width, _ = shapes["text_model.encoder.layers.0.mlp.fc1.weight"]
    except (KeyError, ValueError) as error:
        raise TextEncoderError(f"not a CLIP text encoder: {error} is missing or of another kind") from error
    return _Sizes(vocabulary, width, mlp_width, max(layers) + 1, positions)


def token_width(network: nn.Module) -> int:
    """Width of the token embeddings."""
    return _text_model(network).embeddings.token_embedding.weight.shape[1]


@torch.no_grad()
def run_clip(
    network: nn.Module, chunks: Sequence[Chunk], spec: TextEncoderSpec, stop_at_layer: int | None, dtype: torch.dtype
) -> States:
    """Encode chunks as one batch, computing in `dtype` whatever the weights are stored in.

    stop_at_layer: counted from the end, -1 being the last; None for the usual one; beyond the layers means the last.
    """
    text = _text_model(network)
    layers = cast(Sequence[nn.Module], text.encoder.layers)
    stop = layers_to_run(len(layers), spec, stop_at_layer)
    hidden = embed(text, chunks, dtype)
    taken = hidden
    for number, layer in enumerate(layers, start=1):
        hidden = call_in(layer, dtype, hidden, attention_mask=None, is_causal=True)
        if number == stop:
            taken = hidden
    normed = call_in(text.final_layer_norm, dtype, hidden)
    if spec.final_norm:
        taken = normed if stop == len(layers) else call_in(text.final_layer_norm, dtype, taken)
    ends = [_first_end(chunk) for chunk in chunks]
    pooled = normed[torch.arange(len(chunks)), ends]
    projection = cast(nn.Module | None, cast(Any, network).text_projection)
    if spec.pooled == "projected" and projection is not None:
        pooled = call_in(projection, dtype, pooled)
    return States(taken, pooled)


def layers_to_run(count: int, spec: TextEncoderSpec, stop_at_layer: int | None) -> int:
    """After how many layers the hidden state is taken."""
    published = PUBLISHED_LAYERS.get(spec.name, count)
    total = published if count == published - 1 else count
    from_end = -(spec.hidden_state if stop_at_layer is None else stop_at_layer)
    return min(count, total - from_end + 1) if 1 <= from_end <= total else count


def embed(text: Any, chunks: Sequence[Chunk], dtype: torch.dtype) -> Tensor:
    """Token and position embeddings of chunks, (N, T, D); vectors of textual inversion take their place as they are."""
    table, positions = text.embeddings.token_embedding.weight, text.embeddings.position_embedding.weight
    ids = ids_of(chunks)
    embedded = put_vectors(nn.functional.embedding(ids.to(table.device), table).to(dtype), chunks)
    return embedded + positions[: ids.shape[1]].to(dtype)


def _first_end(chunk: Chunk) -> int:
    return next(i for i, token in enumerate(chunk) if isinstance(token.value, int) and token.value == END_ID)


def _text_model(network: nn.Module) -> Any:
    return cast(Any, network).text_model
