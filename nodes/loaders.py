"""Models out of files: menus `loaders` and `advanced/loaders`."""

from pathlib import Path
from typing import Annotated

import torch

from diffusion import latents
from diffusion.latents import LatentFormat
from diffusion.store import ModelStore
from nodes.declare import node
from nodes.markers import Choice, Given, Options
from nodes.wire import Clip, ControlNet, Model, Vae
from storage.folders import Folders

Checkpoint = Annotated[str, Choice.of("checkpoints")]
TextEncoderFile = Annotated[str, Choice.of("text_encoders")]
Device = Annotated[str, Choice(["default", "cpu"]), Options({"advanced": True})]
TINY: dict[str, LatentFormat] = {
    "taesd": latents.SD15,
    "taesdxl": latents.SDXL,
    "taesd3": latents.SD3,
    "taef1": latents.FLUX,
}
"""Tiny VAEs by name, and the latents each stands for."""
EIGHT_BIT = {
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e4m3fn_fast": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
CLIP_TYPES = [
    "stable_diffusion",
    "stable_cascade",
    "sd3",
    "stable_audio",
    "mochi",
    "ltxv",
    "pixart",
    "cosmos",
    "lumina2",
    "wan",
    "hidream",
    "chroma",
    "ace",
    "omnigen2",
    "qwen_image",
    "hunyuan_image",
]


def find(folders: Folders, kind: str, name: str) -> Path:
    """The file of that name. Raises FileNotFoundError that says where it was looked for."""
    path = folders.find(kind, name)
    if path is None:
        places = ", ".join(map(str, folders.directories(kind)))
        raise FileNotFoundError(f"there is no {name!r} among the {kind}; looked in {places}")
    return path


def stamp(path: Path) -> tuple[str, int, int]:
    """Changes when the file does, without reading gigabytes."""
    told = path.stat()
    return str(path), told.st_mtime_ns, told.st_size


@node("CheckpointLoaderSimple", category="loaders", title="Load Checkpoint")
def checkpoint_loader_simple(
    *, ckpt_name: Checkpoint, folders: Given[Folders], store: Given[ModelStore]
) -> tuple[Model, Clip | None, Vae | None]:
    """Load a whole checkpoint: the diffusion model, its text encoders and its VAE, as far as the file holds them."""
    loaded = store.checkpoint(find(folders, "checkpoints", ckpt_name))
    return loaded.model, loaded.text_encoders, loaded.autoencoder


@checkpoint_loader_simple.fingerprint
def _(*, ckpt_name: str, folders: Folders) -> object:
    return stamp(find(folders, "checkpoints", ckpt_name))


@node(
    "CheckpointLoader",
    category="advanced/loaders",
    title="Load Checkpoint With Config (DEPRECATED)",
    deprecated=True,
)
def checkpoint_loader(
    *,
    config_name: Annotated[str, Choice.of("configs")],
    ckpt_name: Checkpoint,
    folders: Given[Folders],
    store: Given[ModelStore],
) -> tuple[Model, Clip | None, Vae | None]:
    """Load a whole checkpoint. The file itself says what it is, so the configuration is not needed any more."""
    loaded = store.checkpoint(find(folders, "checkpoints", ckpt_name))
    return loaded.model, loaded.text_encoders, loaded.autoencoder


@checkpoint_loader.fingerprint
def _(*, ckpt_name: str, folders: Folders) -> object:
    return stamp(find(folders, "checkpoints", ckpt_name))


@node("DiffusersLoader", category="advanced/loaders/deprecated", title="DiffusersLoader")
def diffusers_loader(
    *, model_path: Annotated[str, Choice.of("diffusers")], folders: Given[Folders], store: Given[ModelStore]
) -> tuple[Model, Clip | None, Vae | None]:
    """Load a model from a folder as diffusers writes it."""
    loaded = store.checkpoint(find(folders, "diffusers", model_path))
    return loaded.model, loaded.text_encoders, loaded.autoencoder


@diffusers_loader.fingerprint
def _(*, model_path: str, folders: Folders) -> object:
    folder = find(folders, "diffusers", model_path)
    return [stamp(path) for path in sorted(folder.glob("*/*")) if path.is_file()]


@node("UNETLoader", category="advanced/loaders", title="Load Diffusion Model")
def unet_loader(
    *,
    unet_name: Annotated[str, Choice.of("diffusion_models")],
    weight_dtype: Annotated[str, Choice(["default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"])],
    folders: Given[Folders],
    store: Given[ModelStore],
) -> Model:
    """Load a diffusion model alone.

    weight_dtype: fp8 holds its matrices in 8 bits, which takes less memory and loses detail; fast does the same, its
    products are not computed in 8 bits.
    """
    dtype = EIGHT_BIT.get(weight_dtype)
    return store.diffusion_model(find(folders, "diffusion_models", unet_name), dtype)


@unet_loader.fingerprint
def _(*, unet_name: str, folders: Folders) -> object:
    return stamp(find(folders, "diffusion_models", unet_name))


@node("CLIPLoader", category="advanced/loaders", title="Load CLIP")
def clip_loader(
    *,
    clip_name: TextEncoderFile,
    type: Annotated[str, Choice(CLIP_TYPES)],
    device: Device | None = None,
    folders: Given[Folders],
    store: Given[ModelStore],
) -> Clip:
    """Load a text encoder alone. The file itself says which one it is.

    type: which line of models it is for, where several read the same encoder.
    """
    return store.text_encoders([find(folders, "text_encoders", clip_name)], type)


@clip_loader.fingerprint
def _(*, clip_name: str, folders: Folders) -> object:
    return stamp(find(folders, "text_encoders", clip_name))


@node("DualCLIPLoader", category="advanced/loaders")
def dual_clip_loader(
    *,
    clip_name1: TextEncoderFile,
    clip_name2: TextEncoderFile,
    type: Annotated[str, Choice(["sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image"])],
    device: Device | None = None,
    folders: Given[Folders],
    store: Given[ModelStore],
) -> Clip:
    """Load two text encoders that one model reads together, in any order."""
    return store.text_encoders([find(folders, "text_encoders", name) for name in (clip_name1, clip_name2)], type)


@dual_clip_loader.fingerprint
def _(*, clip_name1: str, clip_name2: str, folders: Folders) -> object:
    return [stamp(find(folders, "text_encoders", name)) for name in (clip_name1, clip_name2)]


@node("TripleCLIPLoader", category="advanced/loaders", modern=True)
def triple_clip_loader(
    *,
    clip_name1: TextEncoderFile,
    clip_name2: TextEncoderFile,
    clip_name3: TextEncoderFile,
    folders: Given[Folders],
    store: Given[ModelStore],
) -> Clip:
    """Load the three text encoders of SD3, in any order."""
    return store.text_encoders([find(folders, "text_encoders", n) for n in (clip_name1, clip_name2, clip_name3)], "sd3")


@triple_clip_loader.fingerprint
def _(*, clip_name1: str, clip_name2: str, clip_name3: str, folders: Folders) -> object:
    return [stamp(find(folders, "text_encoders", name)) for name in (clip_name1, clip_name2, clip_name3)]


@node("VAELoader", category="loaders", title="Load VAE")
def vae_loader(
    *,
    vae_name: Annotated[str, Choice.of("vae (plus approximations)")],
    folders: Given[Folders],
    store: Given[ModelStore],
) -> Vae:
    """Load a VAE alone. taesd and its relatives are small and quick, and lose details."""
    if vae_name in TINY:
        return store.tiny_autoencoder(*halves(folders, vae_name), latent=TINY[vae_name])
    return store.vae(find(folders, "vae", vae_name))


@vae_loader.fingerprint
def _(*, vae_name: str, folders: Folders) -> object:
    if vae_name in TINY:
        return [stamp(path) for path in halves(folders, vae_name)]
    return stamp(find(folders, "vae", vae_name))


def halves(folders: Folders, name: str) -> list[Path]:
    """The encoder and the decoder of a tiny VAE."""
    files = folders.files("vae_approx")
    found = [next((f for f in files if f.startswith(f"{name}_{half}")), None) for half in ("encoder", "decoder")]
    return [
        find(folders, "vae_approx", file or f"{name}_{half}")
        for file, half in zip(found, ("encoder", "decoder"), strict=True)
    ]


@node("ControlNetLoader", category="loaders", title="Load ControlNet Model")
def control_net_loader(
    *,
    control_net_name: Annotated[str, Choice.of("controlnet")],
    folders: Given[Folders],
    store: Given[ModelStore],
) -> ControlNet:
    """Load a ControlNet or a T2I-Adapter."""
    return store.controlnet(find(folders, "controlnet", control_net_name))


@control_net_loader.fingerprint
def _(*, control_net_name: str, folders: Folders) -> object:
    return stamp(find(folders, "controlnet", control_net_name))


@node("DiffControlNetLoader", category="loaders", title="Load ControlNet Model (diff)")
def diff_control_net_loader(
    *,
    model: Model,
    control_net_name: Annotated[str, Choice.of("controlnet")],
    folders: Given[Folders],
    store: Given[ModelStore],
) -> ControlNet:
    """Load a ControlNet whose file holds differences to a model."""
    return store.controlnet(find(folders, "controlnet", control_net_name), base=model)


@diff_control_net_loader.fingerprint
def _(*, control_net_name: str, folders: Folders) -> object:
    return stamp(find(folders, "controlnet", control_net_name))
