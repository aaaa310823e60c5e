"""Guidance away from a network without some of its blocks: menu `advanced/guidance`."""

import re
from typing import Annotated

from diffusion.patches.slg import skipping, with_skip_layer_guidance, with_skipping_negative
from nodes.declare import node
from nodes.markers import Number, Options
from nodes.wire import Model

Layers = Annotated[str, Options({"multiline": False})]
Scale = Annotated[float, Number(0.0, 10.0, step=0.1)]
Percent = Annotated[float, Number(0.0, 1.0, step=0.001)]


def numbers(text: str) -> list[int]:
    """The whole numbers in a text, whatever stands between them."""
    return [int(found) for found in re.findall(r"\d+", text)]


@node("SkipLayerGuidanceDiT", category="advanced/guidance", modern=True, experimental=True)
def skip_layer_guidance_dit(
    *,
    model: Model,
    double_layers: Layers = "7, 8, 9",
    single_layers: Layers = "7, 8, 9",
    scale: Scale = 3.0,
    start_percent: Percent = 0.01,
    end_percent: Percent = 0.15,
    rescaling_scale: Annotated[float, Number(0.0, 10.0, step=0.01)] = 0.0,
) -> Model:
    """Guide away from what the network makes without some of its blocks.

    double_layers: blocks with a stream for the text and one for the picture.
    single_layers: blocks where both are one.
    """
    hooks = skipping(numbers(double_layers), numbers(single_layers))
    if not hooks.blocks:
        return model
    return with_skip_layer_guidance(model, hooks, scale, start_percent, end_percent, rescaling_scale)


@node("SkipLayerGuidanceDiTSimple", category="advanced/guidance", modern=True, experimental=True)
def skip_layer_guidance_dit_simple(
    *,
    model: Model,
    double_layers: Layers = "7, 8, 9",
    single_layers: Layers = "7, 8, 9",
    start_percent: Percent = 0.0,
    end_percent: Percent = 1.0,
) -> Model:
    """Leave out some of the network's blocks for the negative prompt alone, which costs nothing."""
    hooks = skipping(numbers(double_layers), numbers(single_layers))
    return with_skipping_negative(model, hooks, start_percent, end_percent) if hooks.blocks else model


@node("SkipLayerGuidanceSD3", category="advanced/guidance", modern=True, experimental=True)
def skip_layer_guidance_sd3(
    *,
    model: Model,
    layers: Layers = "7, 8, 9",
    scale: Scale = 3.0,
    start_percent: Percent = 0.01,
    end_percent: Percent = 0.15,
) -> Model:
    """Guide away from what SD3 makes without some of its blocks; 3.5 medium's publishers advise it."""
    hooks = skipping(numbers(layers))
    return with_skip_layer_guidance(model, hooks, scale, start_percent, end_percent) if hooks.blocks else model
