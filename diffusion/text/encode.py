"""Prompts to conditioning: runs the text encoders of a model and applies the weights people typed."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from diffusion.families.text_encoders import Encoded, TextEncoderSpec, TextStates
from diffusion.handles import TextEncoders
from diffusion.memory.keeper import keeper_of
from diffusion.memory.work import Need, Place, Way, Work
from diffusion.ops.stored import compute_dtype
from diffusion.text.clip import run_clip
from diffusion.text.embeddings import Embeddings
from diffusion.text.language_model import run_language_model
from diffusion.text.networks import States
from diffusion.text.t5 import run_t5
from diffusion.text.tokens import Chunk, Tokens, empty_like, tokenise

RUN: dict[str, Callable[[nn.Module, Sequence[Chunk], TextEncoderSpec, int | None, torch.dtype], States]] = {
    "clip": run_clip,
    "t5": run_t5,
    "language_model": run_language_model,
}


def prompt_tokens(
    encoders: TextEncoders, text: str | Mapping[str, str], embeddings: Embeddings | None = None
) -> Tokens:
    """Tokenise a prompt for these encoders; or one for each encoder by name, where one without is not asked."""
    specs = specs_of(encoders)
    widths = {spec.name: token_width(encoders.networks[spec.name]) for spec in specs}
    return tokenise(text, specs, embeddings, widths, encoders.tokenizers, encoders.padding)


def token_width(network: nn.Module) -> int:
    """Width of the token embeddings."""
    return next(module for module in network.modules() if isinstance(module, nn.Embedding)).embedding_dim


def specs_of(encoders: TextEncoders) -> tuple[TextEncoderSpec, ...]:
    """How the family uses the encoders that are there, in its order."""
    return tuple(spec for spec in encoders.family.text_encoders if spec.name in encoders.networks)


def encode(encoders: TextEncoders, tokens: Tokens, dtype: torch.dtype | None = None) -> Encoded:
    """Run every encoder that has tokens; the family says what the network reads of their answers.

    dtype: what to compute in; None is float32 on the CPU and the weights' own elsewhere.
    """
    states: dict[str, TextStates] = {}
    for spec in specs_of(encoders):
        if spec.name in tokens.chunks:
            states[spec.name] = _encode_kept(encoders, spec, tokens.chunks[spec.name], dtype)
    check_states(encoders, states)
    return encoders.family.combine(states, {spec.name: spec for spec in encoders.family.text_encoders})


def _encode_kept(
    encoders: TextEncoders, spec: TextEncoderSpec, chunks: Sequence[Chunk], dtype: torch.dtype | None
) -> TextStates:
    """As `_encode_one`, where the encoder's keeper has it compute."""
    network = encoders.networks[spec.name]

    def job(place: Place) -> TextStates:
        computed = dtype or (torch.float32 if place.device.type == "cpu" else compute_dtype(network))
        return _encode_one(place.of(network), chunks, spec, encoders.stop_at_layer, computed)

    need = Need(network, tuple(encoders.patches.get(spec.name, ())))
    key = f"{spec.name} {len(chunks)}x{max(map(len, chunks))}"
    return keeper_of(network).run(Work(f"Encoding by {spec.name}", [need], [Way(job)], key))


def check_states(encoders: TextEncoders, states: Mapping[str, TextStates]) -> None:
    """Raise ValueError, naming the file, for a text encoder that answered with NaN or infinity."""
    for name, said in states.items():
        if not said.hidden.isfinite().all() or (said.pooled is not None and not said.pooled.isfinite().all()):
            raise ValueError(
                f"The text encoder {name} of {encoders.source or 'this model'} answered with NaN or infinity. Its "
                "weights may be damaged, or a patch or a weight in the prompt too strong for it"
            )


def _encode_one(
    network: nn.Module, chunks: Sequence[Chunk], spec: TextEncoderSpec, stop_at_layer: int | None, dtype: torch.dtype
) -> TextStates:
    """A token of weight w is moved from the empty prompt's state at its place: empty + w * (token - empty)."""
    weights = torch.tensor([[token.weight for token in chunk] for chunk in chunks])
    weighted = bool((weights != 1).any())
    batch = [*chunks, empty_like(chunks[0], spec)] if weighted else chunks
    states = RUN[spec.kind](network, batch, spec, stop_at_layer, dtype)
    hidden = states.hidden
    if weighted:
        empty, hidden = hidden[-1:], hidden[:-1]
        moved = empty + weights[..., None].to(hidden) * (hidden - empty)
        # Where the weight is 1 the state stays bit for bit what it is without weights.
        hidden = torch.where((weights == 1)[..., None].to(hidden.device), hidden, moved)
    context = hidden.reshape(1, -1, hidden.shape[-1])[:, spec.skipped_tokens :].float().cpu()
    return TextStates(context, None if states.pooled is None else states.pooled[:1].float().cpu())
