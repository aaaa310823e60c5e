"""Opens a folder as diffusers lays it out (`unet/` or `transformer/`, `text_encoder/`, `vae/`, …) as one checkpoint."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.read import INDEX, Checkpoint, open_checkpoint
from diffusion.checkpoints.sidecar import PREDICTION
from diffusion.families.registry import recognise

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_VARIANTS = ("", ".fp16", ".bf16")
_EXTENSIONS = (".safetensors", ".bin")
_TEXT_FOLDERS = ("text_encoder", "text_encoder_2", "text_encoder_3")


def open_folder(folder: Path) -> Checkpoint:
    """The networks of a diffusers folder under the prefixes of a single file. Raises CheckpointError."""
    network = _open_part(folder / "unet") or _open_part(folder / "transformer")
    if network is None:
        raise CheckpointError(
            folder,
            "not a diffusers folder: expected `diffusion_pytorch_model.safetensors` in `unet` or `transformer`",
        )
    opened = [network]
    weights = network.weights.behind("model.diffusion_model.")
    recognised = recognise(network.weights.shapes)
    specs = recognised.family.text_encoders if recognised else ()
    # The refiner's one encoder is the second of the pipeline that it belongs to.
    places = zip(_TEXT_FOLDERS, specs if len(specs) > 1 else specs * 2, strict=False)
    for name, spec in places:
        if part := _open_part(folder / name):
            opened.append(part)
            weights = weights.joined(part.weights.behind(f"text_encoders.{spec.name}.transformer."))
    if vae := _open_part(folder / "vae"):
        opened.append(vae)
        weights = weights.joined(vae.weights.behind("first_stage_model."))
    identity = tuple(item for part in opened for item in part.identity)
    return Checkpoint(folder, weights, dict(_prediction(folder)), identity)


def _open_part(folder: Path) -> Checkpoint | None:
    for extension in _EXTENSIONS:
        for variant in _VARIANTS:
            for stem in _STEMS:
                for name in (f"{stem}{variant}{extension}", f"{stem}{extension}{INDEX.replace('.json', variant)}.json"):
                    if (folder / name).is_file():
                        return open_checkpoint(folder / name)
    return None


def _prediction(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        config: Any = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
        if isinstance(found := config[PREDICTION], str):
            yield PREDICTION, found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # the folder does not say; the network's own signs decide
