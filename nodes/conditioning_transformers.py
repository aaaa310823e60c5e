"""Prompts and pictures for diffusion transformers: menus `advanced/conditioning`, `advanced/conditioning/flux`, …"""

from dataclasses import replace
from typing import Annotated

from diffusion.families.text_encoders import Padding
from diffusion.images.resize import resize
from execution.context import Run
from nodes.conditioning import Prompt, Size, encoded, with_values
from nodes.declare import node
from nodes.markers import Choice, Given, Number
from nodes.wire import Clip, Conditioning, Image, Latent
from storage.folders import Folders

Guidance = Annotated[float, Number(0.0, 100.0, step=0.1)]
KONTEXT_SIZES = (
    *((672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184), (944, 1104)),
    (1024, 1024),
    *((1104, 944), (1184, 880), (1248, 832), (1328, 800), (1392, 752), (1456, 720), (1504, 688), (1568, 672)),
)
"""Width and height of the pictures Kontext was trained on (black-forest-labs/flux)."""
LUMINA_SYSTEM_PROMPTS = {
    "superior": "You are an assistant designed to generate superior images with the superior degree of image-text "
    "alignment based on textual prompts or user prompts.",
    "alignment": "You are an assistant designed to generate high-quality images with the highest degree of image-text "
    "alignment based on textual prompts.",
}
"""As Lumina 2 was trained with (Alpha-VLLM/Lumina-Image-2.0)."""


@node("CLIPTextEncodeSD3", category="advanced/conditioning", modern=True)
def clip_text_encode_sd3(
    *,
    clip: Clip,
    clip_l: Prompt,
    clip_g: Prompt,
    t5xxl: Prompt,
    empty_padding: Annotated[str, Choice(["none", "empty_prompt"])],
    folders: Given[Folders],
    run: Given[Run],
) -> Conditioning:
    """Turn a prompt for each of SD3's text encoders into what guides the sampling.

    empty_padding: what an encoder without a prompt says: nothing, or what it says of an empty one.
    """
    prompts = {"clip_l": clip_l, "clip_g": clip_g, "t5xxl": t5xxl}
    asked = {name: text for name, text in prompts.items() if text or empty_padding == "empty_prompt"}
    prompt = encoded(clip, asked, folders, run)
    return [[prompt.context, {"pooled_output": prompt.pooled}]]


@node("CLIPTextEncodeFlux", category="advanced/conditioning/flux", modern=True)
def clip_text_encode_flux(
    *, clip: Clip, clip_l: Prompt, t5xxl: Prompt, guidance: Guidance = 3.5, folders: Given[Folders], run: Given[Run]
) -> Conditioning:
    """Turn a prompt for each of Flux's text encoders into what guides the sampling.

    guidance: how closely to follow it; schnell does not listen.
    """
    prompt = encoded(clip, {"clip_l": clip_l, "t5xxl": t5xxl}, folders, run)
    return [[prompt.context, {"pooled_output": prompt.pooled, "guidance": guidance}]]


@node("CLIPTextEncodePixArtAlpha", category="advanced/conditioning", modern=True)
def clip_text_encode_pixart_alpha(
    *, width: Size = 1024, height: Size = 1024, text: Prompt, clip: Clip, folders: Given[Folders], run: Given[Run]
) -> Conditioning:
    """Turn a prompt and a size into what guides the sampling of PixArt alpha. Sigma does not listen to the size."""
    prompt = encoded(clip, text, folders, run)
    return [[prompt.context, {"pooled_output": prompt.pooled, "width": width, "height": height}]]


@node("CLIPTextEncodeLumina2", category="conditioning", title="CLIP Text Encode for Lumina2", modern=True)
def clip_text_encode_lumina2(
    *,
    system_prompt: Annotated[str, Choice(list(LUMINA_SYSTEM_PROMPTS))],
    user_prompt: Prompt,
    clip: Clip,
    folders: Given[Folders],
    run: Given[Run],
) -> Conditioning:
    """Turn a prompt into what guides the sampling of Lumina 2, which is told first what it is to do.

    system_prompt: what it is told.
    """
    text = f"{LUMINA_SYSTEM_PROMPTS[system_prompt]} <Prompt Start> {user_prompt}"
    prompt = encoded(clip, text, folders, run)
    return [[prompt.context, {"pooled_output": prompt.pooled}]]


@node("T5TokenizerOptions", category="_for_testing/conditioning", modern=True, experimental=True)
def t5_tokenizer_options(
    *,
    clip: Clip,
    min_padding: Annotated[int, Number(0, 10000, step=1)] = 0,
    min_length: Annotated[int, Number(0, 10000, step=1)] = 0,
) -> Clip:
    """How far prompts for T5 are padded.

    min_padding: so many tokens of padding at least.
    min_length: and so many tokens in all.
    """
    return replace(clip, padding=Padding(min_padding, min_length))


@node("FluxGuidance", category="advanced/conditioning/flux", modern=True)
def flux_guidance(*, conditioning: Conditioning, guidance: Guidance = 3.5) -> Conditioning:
    """How closely Flux is to follow the prompt. This is not cfg, which stays at 1."""
    return with_values(conditioning, guidance=guidance)


@node("FluxDisableGuidance", category="advanced/conditioning/flux", modern=True)
def flux_disable_guidance(*, conditioning: Conditioning) -> Conditioning:
    """Tell Flux nothing about guidance, not even the usual 3.5."""
    return with_values(conditioning, guidance=None)


@node("ReferenceLatent", category="advanced/conditioning/edit_models", modern=True)
def reference_latent(*, conditioning: Conditioning, latent: Latent | None = None) -> Conditioning:
    """A picture to edit or to follow, for models that look at some. Several nodes in a row give several pictures."""
    if latent is None:
        return conditioning
    return [
        [embeddings, {**extras, "reference_latents": [*extras.get("reference_latents", ()), latent["samples"]]}]
        for embeddings, extras in conditioning
    ]


@node("FluxKontextMultiReferenceLatentMethod", category="advanced/conditioning/flux", modern=True, experimental=True)
def flux_kontext_multi_reference_latent_method(
    *,
    conditioning: Conditioning,
    reference_latents_method: Annotated[str, Choice(["offset", "index", "uxo/uno"])],
) -> Conditioning:
    """Where several pictures to follow lie.

    reference_latents_method: beside each other, each on a sheet of its own, or along the picture's diagonal.
    """
    method = "uxo" if reference_latents_method == "uxo/uno" else reference_latents_method
    return with_values(conditioning, reference_latents_method=method)


@node("FluxKontextImageScale", category="advanced/conditioning/flux", modern=True)
def flux_kontext_image_scale(*, image: Image) -> Image:
    """Scale a picture to a size that Kontext knows: the one most like it in shape."""
    shape = image.shape[2] / image.shape[1]
    width, height = min(KONTEXT_SIZES, key=lambda size: abs(shape - size[0] / size[1]))
    return resize(image.movedim(-1, 1), width, height, "lanczos", crop=True).movedim(1, -1)
