"""From paths to handles: one copy of weights per file, however many handles and nodes share it.

A network stays in memory as long as somebody holds a handle around it, and the most recently opened ones longer, as
many as a budget of bytes allows. Where a network computes is its keeper's affair (`diffusion/memory/`). A file that was
replaced on disk is read again: networks are known by path, inode, time and size.
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, cast
from weakref import WeakValueDictionary

import torch
from torch import nn

from diffusion.checkpoints.build import build_network
from diffusion.checkpoints.control import DIFFERENCE, added_to, find_controlnet
from diffusion.checkpoints.describe import describe
from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.finite import damage, damaged_tensors
from diffusion.checkpoints.folder import open_folder
from diffusion.checkpoints.layouts.text import text_table
from diffusion.checkpoints.packing import held_in, unpacked
from diffusion.checkpoints.precision import in_dtype
from diffusion.checkpoints.read import Checkpoint, file_identity, open_checkpoint
from diffusion.checkpoints.recognise import (
    AUTOENCODER_PREFIXES,
    TEXT_PREFIXES,
    Found,
    Parts,
    find_autoencoder,
    take_apart,
    tokenizer_in,
)
from diffusion.checkpoints.rename import convert
from diffusion.checkpoints.sidecar import says_v
from diffusion.checkpoints.single import (
    Buildable,
    find_clip_vision,
    find_gligen,
    find_preview_decoder,
    find_style_model,
    find_tiny_autoencoder,
    find_upscaler,
)
from diffusion.checkpoints.weights import Source
from diffusion.families.family import Family
from diffusion.families.text_encoders import EncoderKind, TextEncoderSpec
from diffusion.handles import Autoencoder, ControlNet, Model, TextEncoders
from diffusion.latents import LatentFormat
from diffusion.memory import estimate
from diffusion.memory.in_place import InPlace
from diffusion.memory.keeper import keep as let_keep
from diffusion.memory.work import Keeper
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL, read_autoencoder_config
from diffusion.models.taesd import TinyAutoencoder
from diffusion.models.wan_autoencoder import WanAutoencoder, WanAutoencoderConfig, read_wan_autoencoder_config
from diffusion.patches.lora.file import LoraFile, open_lora
from diffusion.text.build import build_text_encoder
from diffusion.text.kinds import family_for, spec_of, tell_apart
from diffusion.text.networks import TextEncoderError
from diffusion.text.tokenizers import LazyTokenizer, TokenizerFolders

KEEP_BYTES = 8 * 2**30


@dataclass(frozen=True)
class Precision:
    """What weights are held in after loading; None keeps the file's own. The defaults are those for a CPU.

    Matrices of diffusion networks and text encoders that a file has in fewer bits stay so, and are unpacked where they
    are used. 8-bit floats here do the same to every matrix.
    """

    network: torch.dtype | None = torch.float32
    text_encoders: torch.dtype | None = torch.float16
    """Computed in float32 on a CPU all the same."""
    autoencoder: torch.dtype | None = torch.float32
    compute: torch.dtype = torch.float32
    """What a diffusion network computes in whose matrices are held in 8 bits."""


@dataclass(frozen=True)
class Keepers:
    """Who decides where networks compute."""

    networks: Keeper = field(default_factory=InPlace)
    autoencoders: Keeper | None = None
    """Where these have another keeper."""

    @property
    def all(self) -> tuple[Keeper, ...]:
        return (self.networks,) if self.autoencoders is None else (self.networks, self.autoencoders)


class Loaded(NamedTuple):
    """A whole checkpoint. A part that the file does not hold is None."""

    model: Model
    text_encoders: TextEncoders | None
    autoencoder: Autoencoder | None


class ModelStore:
    """Opens weights files and hands out handles. Safe to share between threads; one file is loaded at a time."""

    def __init__(
        self,
        precision: Precision | None = None,
        keep: int = KEEP_BYTES,
        tokenizers: TokenizerFolders | None = None,
        keepers: Keepers = Keepers(),  # frozen
    ):
        """keep: bytes of weights that stay in memory although nobody holds a handle around their networks.

        tokenizers: where those of text encoders are that do not bring their own.
        """
        self.precision = precision or Precision()
        self.tokenizers = tokenizers or TokenizerFolders()
        self.keepers = keepers
        self._networks: WeakValueDictionary[Hashable, nn.Module] = WeakValueDictionary()
        self._loras: WeakValueDictionary[Hashable, LoraFile] = WeakValueDictionary()
        self._recent: dict[nn.Module, int] = {}
        self._keep = keep
        self._lock = threading.RLock()

    def checkpoint(self, path: str | Path) -> Loaded:
        """A whole checkpoint: a file, or a folder as diffusers writes it. Raises CheckpointError, FileNotFoundError."""
        path = Path(path)
        parts = take_apart(open_folder(path) if path.is_dir() else open_checkpoint(path))
        family = parts.recognised.family
        text = {spec.name: parts.text_encoders.get(spec.name) for spec in family.text_encoders}
        there = {name: (parts.checkpoint, found) for name, found in text.items() if found is not None}
        complete = there and (family.some_text_encoders or len(there) == len(family.text_encoders))
        encoders = self._text_encoders(family, there, str(path)) if complete else None
        autoencoder = self._autoencoder(parts.checkpoint, parts.autoencoder) if parts.autoencoder else None
        return Loaded(self._model(parts), encoders, autoencoder)

    def diffusion_model(self, path: str | Path, dtype: torch.dtype | None = None) -> Model:
        """A diffusion network alone, or that of a whole checkpoint. dtype: other than the store's."""
        path = Path(path)
        return self._model(take_apart(open_folder(path) if path.is_dir() else open_checkpoint(path)), dtype)

    def text_encoders(self, paths: Sequence[str | Path], loader_type: str | None = None) -> TextEncoders:
        """Text encoders from files of their own, one file each; together they tell which model line reads them.

        loader_type: the line as the menus of loaders call it, for encoders that several lines read.
        """
        opened = [self._alone(Path(path)) for path in paths]
        names = tell_apart([(kind, found.weights.shapes) for kind, _, found in opened])
        family = family_for(names, loader_type)
        listed = " and ".join(names)
        if family is None or len(set(names)) != len(names):
            raise CheckpointError(Path(paths[0]), f"no supported model line reads {listed}")
        there = {name: (checkpoint, found) for name, (_, checkpoint, found) in zip(names, opened, strict=True)}
        return self._text_encoders(family, there, ", ".join(map(str, paths)))

    def _text_encoders(
        self, family: Family[Any], there: Mapping[str, tuple[Checkpoint, Found]], source: str
    ) -> TextEncoders:
        specs = {name: spec_of(family, name) for name in there}
        networks = {name: self._text_encoder(file, specs[name], found) for name, (file, found) in there.items()}
        tokenizers = {
            name: self._tokenizer(specs[name].tokenizer, found.tokenizer)
            for name, (_, found) in there.items()
            if specs[name].kind != "clip"
        }
        return TextEncoders(networks, family, tokenizers=tokenizers, source=source)

    def _tokenizer(self, name: str, embedded: Source | None) -> LazyTokenizer:
        return LazyTokenizer(lambda: self.tokenizers.open(name, None if embedded is None else embedded.fetch()))

    def vae(self, path: str | Path) -> Autoencoder:
        """An autoencoder from a file of its own, in any layout, or that of a whole checkpoint.

        A tiny autoencoder is one too if its file says its scale; else see `tiny_autoencoder`.
        """
        checkpoint = open_checkpoint(path)
        if "vae_scale" in checkpoint.weights:
            return self.tiny_autoencoder(path)
        found = find_autoencoder(checkpoint.weights, ("", *AUTOENCODER_PREFIXES))
        if found is None:
            raise CheckpointError(checkpoint.path, f"this looks like {_what(checkpoint)}; expected a VAE")
        return self._autoencoder(checkpoint, found)

    def tiny_autoencoder(self, *paths: str | Path, latent: LatentFormat | None = None) -> Autoencoder:
        """TAESD in one file or its halves in two. latent: the space it stands for, where the file does not say."""
        checkpoints = tuple(open_checkpoint(path) for path in paths)
        network = self._single(find_tiny_autoencoder(checkpoints, latent), self.precision.autoencoder, *checkpoints)
        channels: int = cast(TinyAutoencoder, network).config.latent_channels
        return Autoencoder(network, channels, source=", ".join(map(str, paths)))

    def preview_decoder(self, path: str | Path) -> nn.Module:
        """A TAESD decoder: (B, C, H, W) in model scale to (B, 3, 8H, 8W), about 0…1."""
        checkpoint = open_checkpoint(path)
        return self._single(find_preview_decoder(checkpoint), self.precision.autoencoder, checkpoint)

    def upscaler(self, path: str | Path) -> nn.Module:
        """A network for `upscale.upscale`; its `scale` says how many times larger."""
        checkpoint = open_checkpoint(path)
        return self._single(find_upscaler(checkpoint), self.precision.autoencoder, checkpoint)

    def clip_vision(self, path: str | Path) -> nn.Module:
        """A network for `models.clip_vision.encode_image`: from a file of its own, or that of an unCLIP checkpoint."""
        checkpoint = open_checkpoint(path)
        return self._single(find_clip_vision(checkpoint), self.precision.autoencoder, checkpoint)

    def gligen(self, path: str | Path) -> nn.Module:
        """GLIGEN's layers for `sampling.grounding`."""
        checkpoint = open_checkpoint(path)
        return self._single(find_gligen(checkpoint), self.precision.network, checkpoint)

    def style_model(self, path: str | Path) -> nn.Module:
        """A network that makes tokens of what CLIP saw: called with its last hidden state."""
        checkpoint = open_checkpoint(path)
        return self._single(find_style_model(checkpoint), self.precision.network, checkpoint)

    def controlnet(self, path: str | Path, base: Model | None = None) -> ControlNet:
        """A ControlNet or T2I-Adapter. base: the model whose weights a file of differences is added to."""
        checkpoint = open_checkpoint(path)
        found = find_controlnet(checkpoint)
        dtype = self.precision.network
        if DIFFERENCE not in checkpoint.weights:
            network = self._single(found.network, dtype, checkpoint)
            return ControlNet(network, found.family, found.hints, found.takes_mask, source=str(path))
        if base is None:
            raise CheckpointError(checkpoint.path, "holds differences to a model; load it together with that model")
        # It makes another network for each model, so it is not shared.
        weights = held_in(added_to(found.network.weights, base.network), dtype, self.precision.compute)
        network = build_network(checkpoint.path, found.network.what, found.network.build, weights)
        let_keep(network, self.keepers.networks, f"{found.network.what} of {checkpoint.path.name}")
        return ControlNet(network, found.family, source=str(path))

    def _single(self, found: Buildable, dtype: torch.dtype | None, *checkpoints: Checkpoint) -> nn.Module:
        return self._network(
            found.what,
            checkpoints[0].path,
            (found.what, dtype, *(item for checkpoint in checkpoints for item in checkpoint.identity)),
            lambda: _sound(
                checkpoints[0].path,
                build_network(
                    checkpoints[0].path,
                    found.what,
                    found.build,
                    held_in(unpacked(found.weights), dtype, self.precision.compute),
                ),
            ),
        )

    def lora(self, path: str | Path) -> LoraFile:
        """A LoRA, to be put on handles with `patches.lora.apply.apply_lora`."""
        path = Path(path)
        key = (path.absolute(), *file_identity(path))
        with self._lock:
            lora = self._loras.get(key)
            if lora is None:
                lora = self._loras[key] = open_lora(path)
            return lora

    def _model(self, parts: Parts, dtype: torch.dtype | None = None) -> Model:
        checkpoint, recognised = parts.checkpoint, parts.recognised
        family = recognised.family
        dtype = dtype or self.precision.network
        variant = family.variant(parts.markers.joined(parts.network.weights))
        compute = self.precision.compute
        if compute == torch.float16 and not family.fits_float16:
            compute = torch.bfloat16
        network = self._network(
            f"{family.name} network",
            checkpoint.path,
            ("network", *checkpoint.identity, dtype),
            lambda: build_network(
                checkpoint.path,
                f"{family.name} network",
                lambda: family.build(recognised.config),
                held_in(parts.network.weights, dtype, compute),
            ),
        )
        prediction = replace(variant.prediction, kind="v") if says_v(checkpoint) else variant.prediction
        return Model(
            network,
            family,
            recognised.config,
            prediction,
            variant.latent,
            images=variant.images,
            source=str(checkpoint.path),
        )

    def _alone(self, path: Path) -> tuple[EncoderKind, Checkpoint, Found]:
        checkpoint = open_checkpoint(path)
        weights = checkpoint.weights
        for prefix in ("", *TEXT_PREFIXES):
            inner = weights.under(prefix)
            if told := text_table(inner.shapes):
                kind, table = told
                return kind, checkpoint, Found(convert(inner, table), prefix, table, tokenizer_in(weights, prefix))
        raise CheckpointError(path, f"this looks like {_what(checkpoint)}; expected a text encoder")

    def _text_encoder(self, checkpoint: Checkpoint, spec: TextEncoderSpec, found: Found) -> nn.Module:
        dtype = self.precision.text_encoders

        def build() -> nn.Module:
            try:
                return build_text_encoder(held_in(found.weights, dtype, torch.float16), spec)
            except TextEncoderError as error:
                raise CheckpointError(checkpoint.path, str(error)) from error

        key = ("text", spec, *checkpoint.identity, found.prefix, dtype)
        return self._network(f"text encoder {spec.name}", checkpoint.path, key, build)

    def _autoencoder(self, checkpoint: Checkpoint, found: Found) -> Autoencoder:
        shapes = found.weights.shapes
        config = read_autoencoder_config(shapes) or read_wan_autoencoder_config(shapes)
        if config is None:
            raise CheckpointError(checkpoint.path, "the VAE has a decoder but no encoder of the kind that is supported")
        if config.image_channels != 3 or config.latent_channels < 3:
            raise CheckpointError(
                checkpoint.path,
                f"a VAE between {config.image_channels} image and {config.latent_channels} latent channels; "
                "expected 3 image channels, and 4 or more latent ones",
            )
        dtype = self.precision.autoencoder
        network = self._network(
            "VAE",
            checkpoint.path,
            ("vae", *checkpoint.identity, found.prefix, dtype),
            lambda: _sound(
                checkpoint.path,
                build_network(
                    checkpoint.path, "VAE", lambda: autoencoder_of(config), in_dtype(unpacked(found.weights), dtype)
                ),
            ),
            self.keepers.autoencoders,
        )
        return Autoencoder(network, config.latent_channels, config.downscale, source=str(checkpoint.path))

    def _network(
        self, what: str, source: Path, key: Hashable, build: Callable[[], nn.Module], keeper: Keeper | None = None
    ) -> nn.Module:
        """what, source: for people. key: of networks that are the same. keeper: other than the usual one."""
        with self._lock:
            network = self._networks.get(key)
            if network is None:
                network = self._networks[key] = build()
                let_keep(network, keeper or self.keepers.networks, f"{what} of {source.name}")
            self._recent.pop(network, None)
            self._recent[network] = estimate.weights(network)
            # The newest stays however large it is: what a keeper has brought to a device dies with the network.
            least = 1 if self._keep else 0
            while len(self._recent) > least and sum(self._recent.values()) > self._keep:
                del self._recent[next(iter(self._recent))]
            return network

    def recent(self) -> frozenset[nn.Module]:
        """The networks that stay although nobody may hold a handle around them."""
        return frozenset(list(self._recent))

    def forget(self) -> None:
        """Keep nothing that nobody holds a handle around."""
        with self._lock:
            self._recent.clear()


def _sound(path: Path, network: nn.Module) -> nn.Module:
    """The network, if all of its weights are numbers. Diffusion networks are looked through when they are first run:
    their weights stay in the file until then."""
    if names := damaged_tensors(network):
        raise CheckpointError(path, damage(names))
    return network


def autoencoder_of(config: AutoencoderConfig | WanAutoencoderConfig) -> nn.Module:
    return AutoencoderKL(config) if isinstance(config, AutoencoderConfig) else WanAutoencoder(config)


def _what(checkpoint: Checkpoint) -> str:
    return describe(checkpoint.weights.shapes)
