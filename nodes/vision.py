"""Networks that look at pictures: upscalers and CLIP vision."""

from typing import Annotated, cast

from torch import nn

from diffusion.models import clip_vision as library
from diffusion.store import ModelStore
from diffusion.upscale import upscale
from execution.context import Run
from nodes.declare import node
from nodes.loaders import Checkpoint, find, stamp
from nodes.markers import Choice, Given, Number, Socket
from nodes.wire import Clip, Conditioning, Image, Model, Vae, having, one_of
from storage.folders import Folders

UpscaleModel = Annotated[nn.Module, Socket("UPSCALE_MODEL", one_of("UPSCALE_MODEL", nn.Module))]
ClipVision = Annotated[nn.Module, Socket("CLIP_VISION", one_of("CLIP_VISION", nn.Module))]
Seen = Annotated[library.ClipVisionOutput, Socket("CLIP_VISION_OUTPUT", having("CLIP_VISION_OUTPUT", "image_embeds"))]


@node("unCLIPCheckpointLoader", category="loaders")
def unclip_checkpoint_loader(
    *, ckpt_name: Checkpoint, folders: Given[Folders], store: Given[ModelStore]
) -> tuple[Model, Clip | None, Vae | None, ClipVision]:
    """Load a whole checkpoint that also brings the network by which it sees pictures."""
    path = find(folders, "checkpoints", ckpt_name)
    loaded = store.checkpoint(path)
    return loaded.model, loaded.text_encoders, loaded.autoencoder, store.clip_vision(path)


@unclip_checkpoint_loader.fingerprint
def _(*, ckpt_name: str, folders: Folders) -> object:
    return stamp(find(folders, "checkpoints", ckpt_name))


@node("UpscaleModelLoader", category="loaders", title="Load Upscale Model", modern=True)
def upscale_model_loader(
    *, model_name: Annotated[str, Choice.of("upscale_models")], folders: Given[Folders], store: Given[ModelStore]
) -> UpscaleModel:
    """Load a network that enlarges pictures."""
    return store.upscaler(find(folders, "upscale_models", model_name))


@upscale_model_loader.fingerprint
def _(*, model_name: str, folders: Folders) -> object:
    return stamp(find(folders, "upscale_models", model_name))


@node("ImageUpscaleWithModel", category="image/upscaling", title="Upscale Image (using Model)", modern=True)
def image_upscale_with_model(*, upscale_model: UpscaleModel, image: Image, run: Given[Run]) -> Image:
    """Enlarge a picture by a network, as many times as that was made for."""
    return upscale(upscale_model, image[..., :3], run.progress)


@node("CLIPVisionLoader", category="loaders", title="Load CLIP Vision")
def clip_vision_loader(
    *, clip_name: Annotated[str, Choice.of("clip_vision")], folders: Given[Folders], store: Given[ModelStore]
) -> ClipVision:
    """Load a network that describes pictures by numbers."""
    return store.clip_vision(find(folders, "clip_vision", clip_name))


@clip_vision_loader.fingerprint
def _(*, clip_name: str, folders: Folders) -> object:
    return stamp(find(folders, "clip_vision", clip_name))


@node("CLIPVisionEncode", category="conditioning", title="CLIP Vision Encode")
def clip_vision_encode(
    *, clip_vision: ClipVision, image: Image, crop: Annotated[str, Choice(["center", "none"])]
) -> Seen:
    """Describe a picture by numbers.

    crop: center looks at the middle square; none squeezes the whole picture into it.
    """
    network = cast("library.CLIPVisionModelWithProjection | library.SiglipVisionModel", clip_vision)
    return library.encode_image(network, image, crop=crop == "center")


@node("unCLIPConditioning", category="conditioning")
def unclip_conditioning(
    *,
    conditioning: Conditioning,
    clip_vision_output: Seen,
    strength: Annotated[float, Number(-10.0, 10.0, step=0.01)] = 1.0,
    noise_augmentation: Annotated[float, Number(0.0, 1.0, step=0.01)] = 0.0,
) -> Conditioning:
    """Guide by a picture instead of words, for unCLIP models.

    noise_augmentation: how far the result may be from the picture.
    """
    if strength == 0:
        return conditioning
    seen = {"clip_vision_output": clip_vision_output, "strength": strength, "noise_augmentation": noise_augmentation}
    return [
        [embeddings, {**extras, "unclip_conditioning": [*extras.get("unclip_conditioning", []), seen]}]
        for embeddings, extras in conditioning
    ]
