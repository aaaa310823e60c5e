"""Writes networks back as files in the layout in which they are published, patches included.

A file appears under its name only when it is complete and on the disk.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import (
    save_file,  # pyright: ignore[reportUnknownVariableType]  # its stub has a bare PathLike
)
from torch import Tensor, nn

from diffusion.checkpoints.layouts.clip import openclip_table
from diffusion.checkpoints.packing import true_weights
from diffusion.checkpoints.rename import revert
from diffusion.families.prediction import BetaSchedule, EdmSchedule
from diffusion.handles import Autoencoder, Model, TextEncoders
from diffusion.ops.stored import packed_layers
from diffusion.patches.weights import patched
from diffusion.text.kinds import spec_of

NETWORK_PREFIX = "model.diffusion_model."
AUTOENCODER_PREFIX = "first_stage_model."


def save_checkpoint(
    path: str | Path,
    model: Model,
    text_encoders: TextEncoders | None = None,
    autoencoder: Autoencoder | None = None,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """One file with everything that was given, as published for the model's line. dtype: None keeps the handles'."""
    tensors = _behind(NETWORK_PREFIX, network_tensors(model)) | prediction_markers(model)
    for name in text_encoders.networks if text_encoders else ():
        assert text_encoders
        prefix = spec_of(text_encoders.family, name).prefixes[0]
        found = text_encoder_tensors(text_encoders, name)
        if prefix.endswith(".model."):
            found = revert(found, openclip_table(found), {})
        tensors |= _behind(prefix, found)
    if autoencoder:
        tensors |= _behind(AUTOENCODER_PREFIX, autoencoder.network.state_dict())
    write_safetensors(path, tensors, metadata, dtype)


def save_text_encoder(
    path: str | Path,
    text_encoders: TextEncoders,
    name: str,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """One text encoder, in the names of published transformers files."""
    write_safetensors(path, text_encoder_tensors(text_encoders, name), metadata, dtype)


def save_vae(
    path: str | Path,
    autoencoder: Autoencoder,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """An autoencoder alone, without prefix."""
    write_safetensors(path, autoencoder.network.state_dict(), metadata, dtype)


def network_tensors(model: Model) -> dict[str, Tensor]:
    """The diffusion network's tensors without prefix, patches applied."""
    return _to_write(patched(model.network, model.patches))


def text_encoder_tensors(text_encoders: TextEncoders, name: str) -> dict[str, Tensor]:
    """One text encoder's tensors, patches applied."""
    return _to_write(patched(text_encoders.networks[name], text_encoders.patches.get(name, ())))


def _to_write(network: nn.Module) -> dict[str, Tensor]:
    """Every tensor true. Those that were packed become float16: they have fewer bits than that."""
    weights, layers = true_weights(network), packed_layers(network)
    return {
        name: weights[name].half() if name in layers and source.dtype == torch.float32 else weights[name]
        for name, source in weights.sources.items()
    }


def prediction_markers(model: Model) -> dict[str, Tensor]:
    """The marker tensors by which SDXL files say what they predict, and unCLIP ones how pictures are seen."""
    if model.images is not None:
        return {
            "noise_augmentor.data_mean": model.images.mean[None],
            "noise_augmentor.data_std": model.images.deviation[None],
        }
    if "SDXL" not in model.family.name:
        return {}
    prediction, schedule = model.prediction, model.prediction.schedule
    if isinstance(schedule, EdmSchedule) and prediction.kind == "v":
        return {
            "edm_vpred.sigma_max": torch.tensor(schedule.sigma_max),
            "edm_vpred.sigma_min": torch.tensor(schedule.sigma_min),
        }
    if isinstance(schedule, EdmSchedule):
        shift, scale = model.latent.shift, model.latent.scale
        if isinstance(shift, tuple) and isinstance(scale, tuple):
            return {"edm_mean": torch.tensor(shift), "edm_std": torch.tensor([0.5 / s for s in scale])}
        return {}
    markers = {"v_pred": torch.empty(0)} if prediction.kind == "v" else {}
    if markers and isinstance(schedule, BetaSchedule) and schedule.zero_terminal_snr:
        markers["ztsnr"] = torch.empty(0)
    return markers


def _behind(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def write_safetensors(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write tensors to a file that is either complete or not there. dtype: of floating point tensors; None keeps it.

    Raises OSError, and leaves nothing behind, if the disk refuses.
    """
    path = Path(path)
    ready = _ready(tensors, dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    unfinished = Path(name)
    try:
        save_file(ready, unfinished, metadata={"format": "pt", **(metadata or {})})
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _ready(tensors: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Each tensor whole and on its own, as the file has them: one that shares its memory with another is copied."""
    ready: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        found = tensor.detach().cpu()
        if dtype is not None and found.is_floating_point():
            found = found.to(dtype)
        found = found.contiguous()
        memory = found.untyped_storage().data_ptr()
        ready[name] = found.clone() if memory in seen and memory else found
        seen.add(memory)
    return ready


def _umask() -> int:
    """The permissions this process withholds; a temporary file has none for others, whatever they are."""
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut; Windows cannot open folders and does not need it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
