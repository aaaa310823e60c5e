"""Language models as text encoders (Gemma 2, Qwen2.5, Qwen3) by transformers' classes, run layer by layer."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from diffusion.checkpoints.build import WithoutInitialising
from diffusion.checkpoints.weights import Weights
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.text.networks import States, TextEncoderError, call_in, load_exactly
from diffusion.text.tokens import Chunk, ids_of

_LAYER = "layers.0."


@dataclass(frozen=True, slots=True)
class Line:
    """One line of language models, and what shapes do not tell of it."""

    classes: Callable[[], tuple[Any, Any]]
    """Its configuration and its network, imported when they are needed."""
    head_width: int
    options: Mapping[str, Any]


def _gemma2() -> tuple[Any, Any]:
    from transformers import Gemma2Config, Gemma2Model

    return Gemma2Config, Gemma2Model


def _qwen2() -> tuple[Any, Any]:
    from transformers import Qwen2Config, Qwen2Model

    return Qwen2Config, Qwen2Model


def _qwen3() -> tuple[Any, Any]:
    from transformers import Qwen3Config, Qwen3Model

    return Qwen3Config, Qwen3Model


_QWEN: Mapping[str, Any] = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "rms_norm_eps": 1e-6}
LINES: Mapping[str, Line] = {
    "gemma2": Line(_gemma2, 256, {"query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6}),
    # Of Qwen2.5-VL only the language model is used, whose positions along three axes are one for text alone.
    "qwen25": Line(_qwen2, 128, _QWEN),
    "qwen3": Line(_qwen3, 128, _QWEN),
}
"""By tokeniser."""


def build_language_model(tensors: Mapping[str, Tensor], spec: TextEncoderSpec) -> nn.Module:
    """transformers' network without a head over these tensors, which are not copied.

    tensors: named as in published files, without `model.`. Sizes are read off the shapes, and `spec.head_width` where
    it is not the line's usual one. Raises TextEncoderError with what is missing or too much.
    """
    line = LINES[spec.tokenizer]
    config_class, network_class = line.classes()
    weights = Weights.of(tensors)
    shapes = weights.shapes
    try:
        vocabulary, width = shapes["embed_tokens.weight"]
        queries, _ = shapes[f"{_LAYER}self_attn.q_proj.weight"]
        keys, _ = shapes[f"{_LAYER}self_attn.k_proj.weight"]
        mlp_width, _ = shapes[f"{_LAYER}mlp.gate_proj.weight"]
    except (KeyError, ValueError) as error:
        raise TextEncoderError(f"{spec.name}: not a language model: {error} is missing or of another kind") from error
    normed = shapes.get(f"{_LAYER}self_attn.q_norm.weight")
    head_width = normed[0] if normed else min(spec.head_width, queries)
    layers = {int(m[1]) for name in shapes if (m := re.match(r"layers\.(\d+)\.", name))}
    config = config_class(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp_width,
        num_hidden_layers=max(layers) + 1,
        num_attention_heads=queries // head_width,
        num_key_value_heads=keys // head_width,
        head_dim=head_width,
        **line.options,
    )
    config._attn_implementation = "eager" if spec.tokenizer == "gemma2" else "sdpa"
    with torch.device("meta"), WithoutInitialising():
        network: Any = network_class(config)
    load_exactly(network, weights, spec.name)
    # Its frequencies are not in files; they are on the meta device until now.
    network.rotary_emb = type(network.rotary_emb)(config)
    return network


@torch.no_grad()
def run_language_model(
    network: nn.Module, chunks: Sequence[Chunk], spec: TextEncoderSpec, stop_at_layer: int | None, dtype: torch.dtype
) -> States:
    """Encode chunks of one length as one batch; each token sees those before it.

    stop_at_layer is of no account: these lines always take the layer they were trained with.
    """
    dtype = torch.bfloat16 if dtype == torch.float16 else dtype
    model: Any = network
    layers = cast(Sequence[nn.Module], model.layers)
    stop = len(layers) + spec.hidden_state + 1
    table: Tensor = model.embed_tokens.weight
    ids = ids_of(chunks).to(table.device)
    hidden = nn.functional.embedding(ids, table).to(dtype)
    if spec.tokenizer == "gemma2":
        hidden = hidden * torch.tensor(hidden.shape[2] ** 0.5, dtype=dtype)
    places = torch.arange(ids.shape[1], device=ids.device)[None]
    turned = model.rotary_emb(hidden, places)
    mask = torch.full((ids.shape[1], ids.shape[1]), float("-inf"), dtype=dtype, device=ids.device).triu(1)[None, None]
    for layer in layers[:stop]:
        out = call_in(layer, dtype, hidden, attention_mask=mask, position_ids=places, position_embeddings=turned)
        hidden = out if isinstance(out, Tensor) else cast(tuple[Tensor, ...], out)[0]
    return States(call_in(model.norm, dtype, hidden) if spec.final_norm else hidden)
