"""T5 encoders (arXiv:1910.10683; v1.1, and UMT5, arXiv:2304.09151) by transformers' classes, run layer by layer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from diffusion.checkpoints.build import WithoutInitialising
from diffusion.checkpoints.weights import Weights
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.text.networks import States, TextEncoderError, call_in, load_exactly
from diffusion.text.tokens import Chunk, ids_of, put_vectors

_FIRST = "encoder.block.0.layer.0.SelfAttention."
_MLP = "encoder.block.0.layer.1.DenseReluDense."
_OWN_BIAS = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"
"""UMT5 has a table of position biases in every layer, T5 in the first only."""


def build_t5(tensors: Mapping[str, Tensor], spec: TextEncoderSpec) -> nn.Module:
    """transformers' T5EncoderModel (or UMT5EncoderModel) over these tensors, which are not copied.

    tensors: named as in published files, the vocabulary as `shared.weight`. Sizes are read off the shapes. Raises
    TextEncoderError with what is missing or too much.
    """
    from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

    weights = Weights.of(tensors)
    shapes = weights.shapes
    try:
        vocabulary, width = shapes["shared.weight"]
        inner, _ = shapes[f"{_FIRST}q.weight"]
        buckets, heads = shapes[f"{_FIRST}relative_attention_bias.weight"]
        gated = f"{_MLP}wi_0.weight" in shapes
        mlp_width, _ = shapes[f"{_MLP}wi_0.weight" if gated else f"{_MLP}wi.weight"]
    except (KeyError, ValueError) as error:
        raise TextEncoderError(f"{spec.name}: not a T5 encoder: {error} is missing or of another kind") from error
    layers = {int(m[1]) for name in shapes if (m := re.match(r"encoder\.block\.(\d+)\.", name))}
    kinds: tuple[Any, Any] = (UMT5Config, UMT5EncoderModel) if _OWN_BIAS in shapes else (T5Config, T5EncoderModel)
    config = kinds[0](
        vocab_size=vocabulary,
        d_model=width,
        d_kv=inner // heads,
        d_ff=mlp_width,
        num_layers=max(layers) + 1,
        num_heads=heads,
        relative_attention_num_buckets=buckets,
        feed_forward_proj="gated-gelu" if gated else "relu",
    )
    config._attn_implementation = "eager"
    with torch.device("meta"), WithoutInitialising():
        network: Any = kinds[1](config)
    vocabulary_twice = Weights({"encoder.embed_tokens.weight": weights.sources["shared.weight"]})
    load_exactly(network, weights.joined(vocabulary_twice), spec.name)
    return network


@torch.no_grad()
def run_t5(
    network: nn.Module, chunks: Sequence[Chunk], spec: TextEncoderSpec, stop_at_layer: int | None, dtype: torch.dtype
) -> States:
    """Encode chunks of one length as one batch; padding takes part. The final norm is applied whatever layer is taken.

    stop_at_layer: counted from the end, -1 being the last; None for the usual one; beyond the layers means the last.
    dtype: float16 becomes bfloat16, in whose range all activations lie.
    """
    dtype = torch.bfloat16 if dtype == torch.float16 else dtype
    encoder: Any = cast(Any, network).encoder
    blocks = cast(Sequence[nn.Module], encoder.block)
    from_end = -(spec.hidden_state if stop_at_layer is None else stop_at_layer)
    stop = len(blocks) - from_end + 1 if 1 <= from_end <= len(blocks) else len(blocks)
    table: Tensor = cast(Any, network).shared.weight
    ids = ids_of(chunks)
    hidden = put_vectors(nn.functional.embedding(ids.to(table.device), table).to(dtype), chunks)
    shared: dict[str, Any] = {}
    for block in blocks[:stop]:
        answer = call_in(block, dtype, hidden, attention_mask=None, **shared)
        if isinstance(answer, Tensor):  # UMT5, whose layers have biases of their own
            hidden = answer
        else:
            hidden, shared = answer[0], {"position_bias": answer[1]}
    hidden = call_in(encoder.final_layer_norm, dtype, hidden)
    if spec.zeroed_padding:
        hidden = hidden * _real(ids, spec).to(hidden)
    return States(hidden)


def _real(ids: Tensor, spec: TextEncoderSpec) -> Tensor:
    """1 where there is a token, 0 where there is padding, (N, T, 1)."""
    return (ids != spec.pad_token)[..., None]
