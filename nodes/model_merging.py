"""Merging and saving models: menu `advanced/model_merging`."""

from pathlib import Path
from typing import Annotated

from diffusion.checkpoints.write import network_tensors, save_checkpoint, save_text_encoder, save_vae, write_safetensors
from diffusion.patches import merge
from execution.context import Run
from nodes.declare import SAVES, node
from nodes.markers import Given, Number, Ui
from nodes.saving import metadata
from nodes.wire import Clip, Model, Vae
from storage.outputs import Outputs

Ratio = Annotated[float, Number(0.0, 1.0, step=0.01)]
Multiplier = Annotated[float, Number(-10.0, 10.0, step=0.01)]
EXTENSION = ".safetensors"


@node("ModelMergeSimple", category="advanced/model_merging")
def model_merge_simple(*, model1: Model, model2: Model, ratio: Ratio = 1.0, run: Given[Run]) -> Model:
    """Mix two models; 1 keeps the first."""
    return merged(model1, model2, merge.blend(ratio), run)


@node("ModelMergeBlocks", category="advanced/model_merging")
def model_merge_blocks(
    *, model1: Model, model2: Model, input: Ratio = 1.0, middle: Ratio = 1.0, out: Ratio = 1.0, run: Given[Run]
) -> Model:
    """Mix two models by parts of the network; 1 keeps the first.

    input: ratio for the first half.
    out: ratio for the last half.
    """
    return merged(model1, model2, {"input": input, "middle": middle, "out": out}, run)


@node("ModelMergeAdd", category="advanced/model_merging")
def model_merge_add(*, model1: Model, model2: Model, run: Given[Run]) -> Model:
    """Add two models, as a difference to a base."""
    return merged(model1, model2, merge.ADD, run)


@node("ModelMergeSubtract", category="advanced/model_merging")
def model_merge_subtract(*, model1: Model, model2: Model, multiplier: Multiplier = 1.0, run: Given[Run]) -> Model:
    """The difference of two models."""
    return merged(model1, model2, merge.subtract(multiplier), run)


def merged(first: Model, second: Model, factors: merge.Factors | dict[str, float], run: Run) -> Model:
    model, left = merge.merge_models(first, second, factors)
    if left:
        run.note(f"{len(left)} weights have no match and were left as they are, {left[0]} first")
    return model


@node("CLIPMergeSimple", category="advanced/model_merging")
def clip_merge_simple(*, clip1: Clip, clip2: Clip, ratio: Ratio = 1.0) -> Clip:
    """Mix the text encoders of two models; 1 keeps the first."""
    return merge.merge_text_encoders(clip1, clip2, merge.blend(ratio))


@node("CLIPMergeAdd", category="advanced/model_merging")
def clip_merge_add(*, clip1: Clip, clip2: Clip) -> Clip:
    """Add text encoders, as a difference to a base."""
    return merge.merge_text_encoders(clip1, clip2, merge.ADD)


@node("CLIPMergeSubtract", category="advanced/model_merging")
def clip_merge_subtract(*, clip1: Clip, clip2: Clip, multiplier: Multiplier = 1.0) -> Clip:
    """The difference of the text encoders of two models."""
    return merge.merge_text_encoders(clip1, clip2, merge.subtract(multiplier))


@node("CheckpointSave", category="advanced/model_merging", title="Save Checkpoint", output=True, hidden=SAVES)
def checkpoint_save(
    *,
    model: Model,
    clip: Clip,
    vae: Vae,
    filename_prefix: str = "checkpoints/ComfyUI",
    outputs: Given[Outputs],
    run: Given[Run],
) -> Ui:
    """Save a model, its text encoders and its VAE as one checkpoint, everything done to them included."""
    texts = metadata(run, outputs)

    def write(path: Path) -> None:
        save_checkpoint(path, model, clip, vae, texts)

    outputs.series(filename_prefix).save_path(write, EXTENSION)
    return Ui()


@node("ModelSave", category="advanced/model_merging", output=True, hidden=SAVES)
def model_save(
    *, model: Model, filename_prefix: str = "diffusion_models/ComfyUI", outputs: Given[Outputs], run: Given[Run]
) -> Ui:
    """Save a diffusion model alone, everything done to it included."""
    texts = metadata(run, outputs)

    def write(path: Path) -> None:
        write_safetensors(path, network_tensors(model), texts)

    outputs.series(filename_prefix).save_path(write, EXTENSION)
    return Ui()


@node("CLIPSave", category="advanced/model_merging", output=True, hidden=SAVES)
def clip_save(*, clip: Clip, filename_prefix: str = "clip/ComfyUI", outputs: Given[Outputs], run: Given[Run]) -> Ui:
    """Save text encoders, each as a file of its own, everything done to them included."""
    texts = metadata(run, outputs)
    for name in clip.networks:

        def write(path: Path, name: str = name) -> None:
            save_text_encoder(path, clip, name, texts)

        outputs.series(f"{filename_prefix}_{name}").save_path(write, EXTENSION)
    return Ui()


@node("VAESave", category="advanced/model_merging", output=True, hidden=SAVES)
def vae_save(*, vae: Vae, filename_prefix: str = "vae/ComfyUI_vae", outputs: Given[Outputs], run: Given[Run]) -> Ui:
    """Save a VAE alone."""
    texts = metadata(run, outputs)

    def write(path: Path) -> None:
        save_vae(path, vae, texts)

    outputs.series(filename_prefix).save_path(write, EXTENSION)
    return Ui()
