"""LoRAs on models and text encoders: menu `loaders`."""

from typing import Annotated

from diffusion.patches.lora.apply import Applied, apply_lora
from diffusion.store import ModelStore
from execution.context import Run
from nodes.declare import node
from nodes.loaders import find, stamp
from nodes.markers import Choice, Given, Number
from nodes.wire import Clip, Model
from storage.folders import Folders

LoraName = Annotated[str, Choice.of("loras")]
Strength = Annotated[float, Number(-100.0, 100.0, step=0.01)]
SHOWN = 3


def tell_unused(applied: Applied, name: str, run: Run) -> None:
    if applied.unused:
        more = len(applied.unused) - SHOWN
        shown = ", ".join(applied.unused[:SHOWN]) + (f" and {more} more" if more > 0 else "")
        run.note(f"{name}: parts that belong to nothing in this model were left out: {shown}")


@node("LoraLoader", category="loaders", title="Load LoRA")
def lora_loader(
    *,
    model: Model,
    clip: Clip,
    lora_name: LoraName,
    strength_model: Strength = 1.0,
    strength_clip: Strength = 1.0,
    folders: Given[Folders],
    store: Given[ModelStore],
    run: Given[Run],
) -> tuple[Model, Clip]:
    """Change a model and its text encoders by a LoRA.

    strength_model: 0 leaves the model as it is; negative goes the other way.
    """
    lora = store.lora(find(folders, "loras", lora_name))
    applied = apply_lora(lora, model, clip, strength_model, strength_clip)
    tell_unused(applied, lora_name, run)
    return applied.model or model, applied.text_encoders or clip


@lora_loader.fingerprint
def _(*, lora_name: str, folders: Folders) -> object:
    return stamp(find(folders, "loras", lora_name))


@node("LoraLoaderModelOnly", category="loaders")
def lora_loader_model_only(
    *,
    model: Model,
    lora_name: LoraName,
    strength_model: Strength = 1.0,
    folders: Given[Folders],
    store: Given[ModelStore],
    run: Given[Run],
) -> Model:
    """Change a model by a LoRA, and leave its text encoders alone."""
    applied = apply_lora(store.lora(find(folders, "loras", lora_name)), model, None, strength_model)
    tell_unused(applied, lora_name, run)
    return applied.model or model


@lora_loader_model_only.fingerprint
def _(*, lora_name: str, folders: Folders) -> object:
    return stamp(find(folders, "loras", lora_name))
