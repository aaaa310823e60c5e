"""Prompts to conditioning: runs the text encoders of a model and applies the weights people typed."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.handles import TextEncoders
from diffusion.ops.stored import compute_dtype
from diffusion.patches.weights import patched
from diffusion.text.clip import run_clip, token_width
from diffusion.text.embeddings import Embeddings
from diffusion.text.tokens import Chunk, Tokens, empty_chunk, tokenise


@dataclass(frozen=True)
class Encoded:
    """A prompt as a diffusion network reads it."""

    context: Tensor
    """(1, T, D), T = 77 per chunk; float32 on the CPU."""
    pooled: Tensor
    """(1, P), of the first chunk; weights do not act on it."""


def prompt_tokens(encoders: TextEncoders, text: str | dict[str, str], embeddings: Embeddings | None = None) -> Tokens:
    """Tokenise a prompt (or one for each encoder by name) for these encoders."""
    specs = specs_of(encoders)
    widths = {spec.name: token_width(encoders.networks[spec.name]) for spec in specs}
    return tokenise(text, specs, embeddings, widths)


def specs_of(encoders: TextEncoders) -> tuple[TextEncoderSpec, ...]:
    """How the family uses the encoders that are there, in its order."""
    return tuple(spec for spec in encoders.family.text_encoders if spec.name in encoders.networks)


def encode(encoders: TextEncoders, tokens: Tokens, dtype: torch.dtype | None = None) -> Encoded:
    """Run every encoder on its chunks; contexts lie side by side along D, cut to the shortest.

    dtype: what to compute in; None is float32 on the CPU and the weights' own elsewhere. The pooled vector is that of
    the encoder whose family says so, or of the last one.
    """
    contexts: list[Tensor] = []
    pooled: dict[str, Tensor] = {}
    for spec in specs_of(encoders):
        network = patched(encoders.networks[spec.name], encoders.patches.get(spec.name, ()))
        context, pooled[spec.name] = _encode_one(
            network, tokens.chunks[spec.name], spec, encoders.stop_at_layer, dtype or _compute_dtype(network)
        )
        contexts.append(context)
    shortest = min(context.shape[1] for context in contexts)
    chosen = [spec.name for spec in specs_of(encoders) if spec.pooled != "none"] or list(pooled)
    return Encoded(torch.cat([context[:, :shortest] for context in contexts], dim=-1), pooled[chosen[-1]])


def _encode_one(
    network: nn.Module, chunks: tuple[Chunk, ...], spec: TextEncoderSpec, stop_at_layer: int | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """(1, 77 * chunks, D) and (1, P). A token of weight w is moved from the empty prompt's state at its place:
    empty + w * (token - empty)."""
    weights = torch.tensor([[token.weight for token in chunk] for chunk in chunks])
    weighted = bool((weights != 1).any())
    batch = [*chunks, empty_chunk(spec.pad_token)] if weighted else chunks
    states = run_clip(network, batch, spec, stop_at_layer, dtype)
    hidden = states.hidden
    if weighted:
        empty, hidden = hidden[-1:], hidden[:-1]
        moved = empty + weights[..., None].to(hidden) * (hidden - empty)
        # Where the weight is 1 the state stays bit for bit what it is without weights.
        hidden = torch.where((weights == 1)[..., None].to(hidden.device), hidden, moved)
    return hidden.reshape(1, -1, hidden.shape[-1]), states.pooled[:1]


def _compute_dtype(network: nn.Module) -> torch.dtype:
    on_cpu = next(network.parameters()).device.type == "cpu"
    return torch.float32 if on_cpu else compute_dtype(network)
