"""Networks that come in files of their own beside a diffusion model: upscalers, image encoders, tiny autoencoders."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from diffusion.checkpoints.describe import describe
from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.layouts.clip_vision import PREFIXES, clip_vision_table
from diffusion.checkpoints.read import Checkpoint
from diffusion.checkpoints.rename import Part, convert
from diffusion.checkpoints.weights import Weights, held
from diffusion.families.diffusers_layout import from_diffusers
from diffusion.latents import LatentFormat
from diffusion.models.clip_vision import build_clip_vision, read_clip_vision_config
from diffusion.models.gligen import Gligen, gligen_names, read_gligen_config
from diffusion.models.rrdb import RRDBNet, read_rrdb_config, rrdb_names
from diffusion.models.siglip import build_siglip, read_siglip_config
from diffusion.models.srvgg import SRVGG, read_srvgg_config
from diffusion.models.style import Redux, StyleAdapter, read_redux_config, read_style_config
from diffusion.models.taesd import TinyAutoencoder, decoder, read_taesd_config


@dataclass(frozen=True)
class Buildable:
    """A network that was recognised, and its tensors in our names."""

    what: str
    """For messages."""
    weights: Weights
    build: Callable[[], nn.Module]


def renamed(weights: Weights, names: Mapping[str, str] | None) -> Weights:
    """With the names exchanged by a table from the file's to ours; None leaves them."""
    return weights if names is None else convert(weights, {theirs: (Part(ours),) for theirs, ours in names.items()})


def find_upscaler(checkpoint: Checkpoint) -> Buildable:
    """An upscaler of the ESRGAN line in any of its layouts. Raises CheckpointError."""
    weights = renamed(checkpoint.weights, rrdb_names(checkpoint.weights.shapes))
    if rrdb := read_rrdb_config(weights.shapes):
        return Buildable("upscaler", weights, lambda: RRDBNet(rrdb))
    if compact := read_srvgg_config(weights.shapes):
        return Buildable("upscaler", weights, lambda: SRVGG(compact))
    raise unexpected(checkpoint, "an upscaler (ESRGAN, Real-ESRGAN or its compact form)")


def find_clip_vision(checkpoint: Checkpoint) -> Buildable:
    """A CLIP image encoder in the names of transformers or of OpenCLIP, alone or in a checkpoint that brings its own.

    Or SigLIP's, as Redux uses, in the names of transformers. Raises CheckpointError.
    """
    weights = checkpoint.weights
    vision = weights.under("vision_model.")
    if siglip := read_siglip_config(vision.shapes):
        return Buildable("SigLIP image encoder", vision, lambda: build_siglip(siglip))
    for prefix in PREFIXES:
        inner = weights.under(prefix)
        if table := clip_vision_table(inner.shapes):
            weights = convert(inner, table)
            break
    config = read_clip_vision_config(weights.shapes)
    if config is None:
        raise unexpected(checkpoint, "a CLIP image encoder with its projection, or SigLIP's")
    return Buildable("CLIP image encoder", weights, lambda: build_clip_vision(config))


def find_gligen(checkpoint: Checkpoint) -> Buildable:
    """GLIGEN's layers, alone or within a whole UNet, in its own naming or diffusers'. Raises CheckpointError."""
    weights = renamed(checkpoint.weights, from_diffusers(checkpoint.weights.shapes, ("position_net.",)))
    prefix = "model.diffusion_model." if "model.diffusion_model.position_net.linears.0.weight" in weights else ""
    inner = weights.under(prefix)
    inner = renamed(inner, gligen_names(inner))
    config = read_gligen_config(inner.shapes)
    if config is None:
        raise unexpected(checkpoint, "a GLIGEN model for boxes with phrases")
    return Buildable("GLIGEN", inner, lambda: Gligen(config))


def find_style_model(checkpoint: Checkpoint) -> Buildable:
    """A style adapter of the T2I-Adapter authors, or Flux Redux. Raises CheckpointError."""
    if style := read_style_config(checkpoint.weights.shapes):
        return Buildable("style adapter", checkpoint.weights, lambda: StyleAdapter(style))
    if redux := read_redux_config(checkpoint.weights.shapes):
        return Buildable("Redux", checkpoint.weights, lambda: Redux(redux))
    raise unexpected(checkpoint, "a style model (T2I-Adapter style or Flux Redux)")


def find_tiny_autoencoder(checkpoints: tuple[Checkpoint, ...], latent: LatentFormat | None) -> Buildable:
    """TAESD, its halves in one file or in two. latent: the space it stands for, unless the file itself says its scale.

    Raises CheckpointError.
    """
    weights = Weights({})
    for checkpoint in checkpoints:
        weights = weights.joined(taesd_weights(checkpoint))
    config = read_taesd_config(weights.shapes)
    if config is None or "taesd_encoder.0.weight" not in weights:
        raise unexpected(checkpoints[0], "both halves of a tiny autoencoder (TAESD)")
    scale, shift = (latent.scale, latent.shift) if latent else (None, None)
    if not isinstance(scale, float) or not isinstance(shift, float):
        if "vae_scale" not in weights:
            raise CheckpointError(checkpoints[0].path, "does not say its latent scale, and no latent space was named")
        scale, shift = 1.0, 0.0  # replaced by the file's own
    own = {name: held(torch.tensor(value)) for name, value in (("vae_scale", scale), ("vae_shift", shift))}
    return Buildable(
        "tiny autoencoder", Weights(own).joined(weights), lambda: TinyAutoencoder(config, float(scale), float(shift))
    )


def find_preview_decoder(checkpoint: Checkpoint) -> Buildable:
    """The decoder of a TAESD: (B, C, H, W) in model scale to (B, 3, 8H, 8W), about 0…1. Raises CheckpointError."""
    weights = taesd_weights(checkpoint)
    config = read_taesd_config(weights.shapes)
    if config is None:
        raise unexpected(checkpoint, "the decoder of a tiny autoencoder (TAESD)")
    return Buildable("tiny decoder", weights.under("taesd_decoder."), lambda: decoder(config))


def taesd_weights(checkpoint: Checkpoint) -> Weights:
    """The tensors of a TAESD file as `TinyAutoencoder` names them; a half without a name is told by its first layer."""
    weights = checkpoint.weights
    if "decoder.layers.0.weight" in weights:
        return renamed(weights, {name: _from_diffusers(name) for name in weights})
    if _is_half(weights.shapes):
        # The decoder begins with a layer without weights.
        half = "taesd_decoder." if "0.weight" not in weights else "taesd_encoder."
        return weights.behind(half)
    return weights


def _is_half(shapes: Mapping[str, Shape]) -> bool:
    return bool(shapes) and all(re.match(r"\d+\.", name) for name in shapes)


def _from_diffusers(name: str) -> str:
    half, _, index, rest = name.split(".", 3)
    # Their list of the decoder's layers lacks the clamp, which is ours at 0.
    return f"taesd_{half}.{int(index) + (half == 'decoder')}.{rest}"


def unexpected(checkpoint: Checkpoint, expected: str) -> CheckpointError:
    """The error that says what a file looks like and what was expected in its place."""
    return CheckpointError(
        checkpoint.path, f"this looks like {describe(checkpoint.weights.shapes)}; expected {expected}"
    )
