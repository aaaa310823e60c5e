"""Takes a checkpoint apart: which model line it is, its diffusion network, its text encoders and its autoencoder."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diffusion.checkpoints.describe import describe
from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.joins import joined
from diffusion.checkpoints.layouts.autoencoder import autoencoder_table
from diffusion.checkpoints.layouts.text import text_table
from diffusion.checkpoints.read import Checkpoint
from diffusion.checkpoints.rename import Part, Table, convert
from diffusion.checkpoints.weights import Source, Weights
from diffusion.families.family import Family
from diffusion.families.registry import FAMILIES, Recognised, configured, recognise
from diffusion.models.wan_autoencoder import MARKER as WAN_MARKER
from diffusion.text.tokenizers import EMBEDDED

NETWORK_PREFIXES = ("model.diffusion_model.", "model.model.", "net.")
AUTOENCODER_PREFIXES = ("first_stage_model.", "vae.")
TEXT_PREFIXES = (
    "cond_stage_model.transformer.",
    "cond_stage_model.model.",
    "conditioner.embedders.0.transformer.",
    "conditioner.embedders.0.model.",
    "text_encoders.clip_l.transformer.",
    "text_encoders.clip_g.transformer.",
    "text_encoders.t5xxl.transformer.",
)


@dataclass(frozen=True)
class Found:
    """The tensors of one network, in our names, and where they were in the file."""

    weights: Weights
    prefix: str = ""
    table: Table = field(default_factory=dict[str, Any])
    """The file's names, without the prefix -> ours."""
    tokenizer: Source | None = None
    """Of a text encoder whose file brings its own."""


@dataclass(frozen=True)
class Parts:
    """A checkpoint taken apart."""

    checkpoint: Checkpoint
    recognised: Recognised
    network: Found
    text_encoders: Mapping[str, Found]
    """By encoder."""
    autoencoder: Found | None
    markers: Weights
    """The tensors beside the networks, under their own names."""


def network_prefix(shapes: Mapping[str, Shape]) -> str:
    """What stands before the names of the diffusion network; empty for a file that holds nothing else."""
    counts = {prefix: sum(name.startswith(prefix) for name in shapes) for prefix in NETWORK_PREFIXES}
    prefix = max(counts, key=counts.__getitem__)
    if counts[prefix] > 5:
        return prefix
    return "model." if any(re.match(r"model\.(input_blocks|down_blocks)\.", name) for name in shapes) else ""


def recognised_in(checkpoint: Checkpoint, shapes: Mapping[str, Shape]) -> Recognised:
    """The model line of a diffusion network with these tensors. Raises CheckpointError that says what the file is."""
    claims = [family.name for family in FAMILIES if configured(family, shapes) is not None]
    if len(claims) > 1:
        raise CheckpointError(checkpoint.path, f"is claimed by more than one model line: {', '.join(claims)}")
    found = recognise(shapes)
    if found is None:
        known = ", ".join(family.name for family in FAMILIES)
        raise CheckpointError(
            checkpoint.path,
            f"this looks like {describe(checkpoint.weights.shapes)}; expected a diffusion model of one of: {known}",
        )
    return found


def take_apart(checkpoint: Checkpoint) -> Parts:
    """Find every network of a whole checkpoint, or of a file that holds a diffusion network alone."""
    weights = checkpoint.weights
    prefix = network_prefix(weights.shapes)
    inner = weights.under(prefix)
    recognised = recognised_in(checkpoint, inner.shapes)
    network = _network(inner, prefix, recognised)
    text = _text_encoders(weights, recognised.family) if prefix else {}
    autoencoder = find_autoencoder(weights, AUTOENCODER_PREFIXES) if prefix else None
    return Parts(checkpoint, recognised, network, text, autoencoder, _markers(weights, prefix))


def _network(inner: Weights, prefix: str, recognised: Recognised) -> Found:
    if recognised.joins:
        return Found(joined(inner, recognised.joins), prefix)
    names = recognised.names or {name: name for name in inner}
    table = {theirs: (Part(ours),) for theirs, ours in names.items()}
    return Found(convert(inner, table), prefix, table)


def _text_encoders(weights: Weights, family: Family[Any]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for spec in family.text_encoders:
        for prefix in (*spec.prefixes, *_other_prefixes(spec.name, family)):
            inner = weights.under(prefix)
            told = text_table(inner.shapes)
            if told is not None and told[0] == spec.kind:
                found[spec.name] = Found(convert(inner, told[1]), prefix, told[1], tokenizer_in(weights, prefix))
                break
    return found


def tokenizer_in(weights: Weights, prefix: str) -> Source | None:
    """The tokeniser's own file, as a tensor of bytes beside the text encoder behind this prefix, where there is one."""
    places = (prefix, prefix.removesuffix("transformer."))
    return next((s for place in places if (s := weights.sources.get(place + EMBEDDED)) is not None), None)


def _other_prefixes(encoder: str, family: Family[Any]) -> Sequence[str]:
    """Places that do not depend on the model line: newer all-in-one files, and SD 2 saved by the SDXL code."""
    usual = (f"text_encoders.{encoder}.transformer.", f"text_encoders.{encoder}.")
    return usual if len(family.text_encoders) > 1 else (*usual, *TEXT_PREFIXES[:4])


def find_autoencoder(weights: Weights, prefixes: Sequence[str]) -> Found | None:
    """The autoencoder behind the first of these prefixes that has one, in the published names."""
    for prefix in prefixes:
        inner = weights.under(prefix)
        if "decoder.conv_in.weight" in inner:
            table = autoencoder_table(inner.shapes)
            return Found(convert(inner, table), prefix, table)
        if WAN_MARKER in inner:
            return Found(inner, prefix, {name: (Part(name),) for name in inner})
    return None


def _markers(weights: Weights, prefix: str) -> Weights:
    """Single tensors at the top: `v_pred`, `edm_mean`, …; nothing inside a network is one of them."""
    if not prefix:
        return Weights({})
    names = [name for name in weights if name.count(".") <= 1 and not name.startswith(("model.", "model_ema."))]
    return weights.only(names)
