"""What guides the sampling: menus `conditioning` and `advanced/conditioning`.

A conditioning is a list of pairs [embeddings, dict]; changing it means making new pairs and new dicts.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from torch import Tensor

from diffusion.sampling import conditioning as library
from diffusion.text.embeddings import EmbeddingFolders
from diffusion.text.encode import Encoded, encode, prompt_tokens
from execution.context import Run
from nodes.declare import node
from nodes.markers import PROMPT, Choice, Given, Number
from nodes.wire import Clip, Conditioning, ConditioningList, Mask
from storage.folders import Folders

Prompt = Annotated[str, PROMPT]
Pixels = Annotated[int, Number(64, 16384, step=8)]
Offset = Annotated[int, Number(0, 16384, step=8)]
Share = Annotated[float, Number(0, 1.0, step=0.01)]
Strength = Annotated[float, Number(0.0, 10.0, step=0.01)]
Percent = Annotated[float, Number(0.0, 1.0, step=0.001)]
Size = Annotated[int, Number(0, 16384)]
CELL = 8


def with_values(conditioning: ConditioningList, **values: Any) -> ConditioningList:
    """The same embeddings with more or other values beside them."""
    return [[embeddings, {**extras, **values}] for embeddings, extras in conditioning]


def encoded(clip: Any, text: str | dict[str, str], folders: Folders, run: Run) -> Encoded:
    """Runs the text encoders; what is odd about the prompt is told beside the node."""
    tokens = prompt_tokens(clip, text, EmbeddingFolders(tuple(folders.directories("embeddings"))))
    for problem in tokens.problems:
        run.note(problem.message)
    return encode(clip, tokens)


@node("CLIPTextEncode", category="conditioning", title="CLIP Text Encode (Prompt)")
def clip_text_encode(*, text: Prompt, clip: Clip, folders: Given[Folders], run: Given[Run]) -> Conditioning:
    """Turn a prompt into what guides the sampling."""
    prompt = encoded(clip, text, folders, run)
    return [[prompt.context, {"pooled_output": prompt.pooled}]]


@node("CLIPTextEncodeSDXL", category="advanced/conditioning", modern=True)
def clip_text_encode_sdxl(
    *,
    clip: Clip,
    width: Size = 1024,
    height: Size = 1024,
    crop_w: Size = 0,
    crop_h: Size = 0,
    target_width: Size = 1024,
    target_height: Size = 1024,
    text_g: Prompt,
    text_l: Prompt,
    folders: Given[Folders],
    run: Given[Run],
) -> Conditioning:
    """Turn a prompt for each of SDXL's text encoders, and sizes, into what guides the sampling.

    width: of the picture the network should imagine it was cut from.
    """
    prompt = encoded(clip, {"clip_g": text_g, "clip_l": text_l}, folders, run)
    sizes = {
        "width": width,
        "height": height,
        "crop_w": crop_w,
        "crop_h": crop_h,
        "target_width": target_width,
        "target_height": target_height,
    }
    return [[prompt.context, {"pooled_output": prompt.pooled, **sizes}]]


@node("CLIPTextEncodeSDXLRefiner", category="advanced/conditioning", modern=True)
def clip_text_encode_sdxl_refiner(
    *,
    ascore: Annotated[float, Number(0.0, 1000.0, step=0.01)] = 6.0,
    width: Size = 1024,
    height: Size = 1024,
    text: Prompt,
    clip: Clip,
    folders: Given[Folders],
    run: Given[Run],
) -> Conditioning:
    """Turn a prompt into what guides the SDXL refiner.

    ascore: how beautiful the picture should be, 1 to 10.
    """
    prompt = encoded(clip, text, folders, run)
    sizes = {"aesthetic_score": ascore, "width": width, "height": height}
    return [[prompt.context, {"pooled_output": prompt.pooled, **sizes}]]


@node("CLIPTextEncodeControlnet", category="_for_testing/conditioning", modern=True, experimental=True)
def clip_text_encode_controlnet(
    *, clip: Clip, conditioning: Conditioning, text: Prompt, folders: Given[Folders], run: Given[Run]
) -> Conditioning:
    """Give ControlNets a prompt of their own."""
    prompt = encoded(clip, text, folders, run)
    return with_values(conditioning, cross_attn_controlnet=prompt.context, pooled_output_controlnet=prompt.pooled)


@node("CLIPSetLastLayer", category="conditioning", title="CLIP Set Last Layer")
def clip_set_last_layer(*, clip: Clip, stop_at_clip_layer: Annotated[int, Number(-24, -1, step=1)] = -1) -> Clip:
    """Read a prompt before the last layers of its encoder, known as "clip skip".

    stop_at_clip_layer: -1 is the last layer, -2 the one before.
    """
    return clip.stopping_at(stop_at_clip_layer)


@node("ConditioningCombine", category="conditioning", title="Conditioning (Combine)")
def conditioning_combine(*, conditioning_1: Conditioning, conditioning_2: Conditioning) -> Conditioning:
    """Guide by several conditionings at once; the model answers to each, and the answers are averaged."""
    return [*with_values(conditioning_1), *with_values(conditioning_2)]


@node("ConditioningAverage", category="conditioning")
def conditioning_average(
    *,
    conditioning_to: Conditioning,
    conditioning_from: Conditioning,
    conditioning_to_strength: Annotated[float, Number(0.0, 1.0, step=0.01)] = 1.0,
) -> Conditioning:
    """Mix the embeddings of two prompts; 1 keeps the first. Only the first part of the second is used."""
    first = at_least_one(conditioning_from)
    return as_lists(library.averaged(pairs(conditioning_to), pairs(first), conditioning_to_strength))


@node("ConditioningConcat", category="conditioning", title="Conditioning (Concat)")
def conditioning_concat(*, conditioning_to: Conditioning, conditioning_from: Conditioning) -> Conditioning:
    """Put the embeddings of one prompt after those of another. Only the first part of the second is used."""
    return as_lists(library.concatenated(pairs(conditioning_to), pairs(at_least_one(conditioning_from))))


def at_least_one(conditioning: ConditioningList) -> ConditioningList:
    if not conditioning:
        raise ValueError("expected a conditioning with at least one entry, got an empty one")
    return conditioning


def pairs(conditioning: ConditioningList) -> list[tuple[Tensor, Mapping[str, Any]]]:
    return [(embeddings, extras) for embeddings, extras in conditioning]


def as_lists(entries: Sequence[tuple[Tensor, dict[str, Any]]]) -> list[list[Any]]:
    """In the form that travels between nodes."""
    return [[embeddings, extras] for embeddings, extras in entries]


@node("ConditioningSetArea", category="conditioning", title="Conditioning (Set Area)")
def conditioning_set_area(
    *,
    conditioning: Conditioning,
    width: Pixels = 64,
    height: Pixels = 64,
    x: Offset = 0,
    y: Offset = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Guide only a rectangle of the picture, in pixels."""
    area = (height // CELL, width // CELL, y // CELL, x // CELL)
    return with_values(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node("ConditioningSetAreaPercentage", category="conditioning", title="Conditioning (Set Area with Percentage)")
def conditioning_set_area_percentage(
    *,
    conditioning: Conditioning,
    width: Share = 1.0,
    height: Share = 1.0,
    x: Share = 0.0,
    y: Share = 0.0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Guide only a rectangle of the picture, in shares of its size."""
    area = ("percentage", height, width, y, x)
    return with_values(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node("ConditioningSetAreaStrength", category="conditioning")
def conditioning_set_area_strength(*, conditioning: Conditioning, strength: Strength = 1.0) -> Conditioning:
    """Weigh a conditioning among those it is combined with."""
    return with_values(conditioning, strength=strength)


@node("ConditioningSetMask", category="conditioning", title="Conditioning (Set Mask)")
def conditioning_set_mask(
    *,
    conditioning: Conditioning,
    mask: Mask,
    strength: Strength = 1.0,
    set_cond_area: Annotated[str, Choice(["default", "mask bounds"])],
) -> Conditioning:
    """Guide only where a mask selects.

    set_cond_area: with mask bounds the model sees only the part of the picture around the selection.
    """
    to_bounds = set_cond_area != "default"
    return with_values(conditioning, mask=mask, mask_strength=strength, set_area_to_bounds=to_bounds)


@node("ConditioningSetTimestepRange", category="advanced/conditioning")
def conditioning_set_timestep_range(
    *, conditioning: Conditioning, start: Percent = 0.0, end: Percent = 1.0
) -> Conditioning:
    """Guide only during a part of the sampling."""
    return with_values(conditioning, start_percent=start, end_percent=end)


@node("ConditioningZeroOut", category="advanced/conditioning")
def conditioning_zero_out(*, conditioning: Conditioning) -> Conditioning:
    """Replace embeddings by zeros: no prompt at all, which is not the same as an empty one."""
    return as_lists(library.zeroed(pairs(conditioning)))
