"""A latent operation applied to what guidance adds."""

from collections.abc import Callable

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_before


def with_operation(model: Model, operation: Callable[..., Tensor]) -> Model:
    """Applies `operation(latent=…)`, a tone map for instance, to the difference of the two estimates."""

    def before(step: GuidanceStep) -> tuple[Tensor, Tensor | None]:
        if step.negative is None:
            return operation(latent=step.positive), None
        return operation(latent=step.positive - step.negative) + step.negative, step.negative

    return with_before(model, before)
