"""Deep shrink: large pictures keep one composition when the inner feature maps are smaller at first (kohya)."""

import math

from torch import Tensor

from diffusion.handles import Model
from diffusion.images.resize import resize
from diffusion.patches.hooks import BlockInfo, ModelHooks
from diffusion.sampling.process import process_of


def with_deep_shrink(
    model: Model,
    block_number: int = 3,
    downscale_factor: float = 2.0,
    start_percent: float = 0.0,
    end_percent: float = 0.35,
    *,
    after_skip: bool = True,
    downscale_method: str = "bicubic",
    upscale_method: str = "bicubic",
) -> Model:
    """Shrinks the feature map after an input block, between two shares of the sampling.

    after_skip: the block's skip connection keeps its size. In the output half a feature map is resized to its skip.
    """
    levels = process_of(model.prediction).levels
    start = math.inf if start_percent <= 0 else levels.percent_to_sigma(start_percent)
    end = levels.percent_to_sigma(end_percent)

    def shrink(hidden: Tensor, info: BlockInfo) -> Tensor:
        if info.index != block_number or not end <= float(info.call.sigmas[0]) <= start:
            return hidden
        height, width = (max(1, round(size / downscale_factor)) for size in hidden.shape[2:])
        return resize(hidden, width, height, downscale_method)

    def grow(hidden: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        if hidden.shape[2:] != skip.shape[2:]:
            hidden = resize(hidden, skip.shape[3], skip.shape[2], upscale_method)
        return hidden, skip

    if after_skip:
        return model.with_hooks(ModelHooks(input_blocks_after_skip=(shrink,), output_blocks=(grow,)))
    return model.with_hooks(ModelHooks(input_blocks=(shrink,), output_blocks=(grow,)))
