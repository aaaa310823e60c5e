"""Skip-layer guidance (Stability AI, SD 3.5), for networks whose layers can be skipped by hooks."""

from diffusion.handles import Model
from diffusion.patches.hooks import ModelHooks
from diffusion.sampling.guidance.weakened import with_weakened_guidance


def with_skip_layer_guidance(
    model: Model,
    skipping: ModelHooks,
    scale: float = 3.0,
    start_percent: float = 0.01,
    end_percent: float = 0.15,
    rescaling: float = 0.0,
) -> Model:
    """Away from the network without some of its layers; `skipping` are the hooks that leave these out."""
    return with_weakened_guidance(
        model, skipping, scale, start_percent=start_percent, end_percent=end_percent, rescaling=rescaling
    )
