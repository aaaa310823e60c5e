"""What is refused before a model runs: weights, texts and latents that are not numbers or belong to another model."""

from pathlib import Path

from torch import Tensor

from diffusion.checkpoints.finite import damage, damaged_tensors
from diffusion.families.text_encoders import TEXT_WIDTHS
from diffusion.handles import Model
from diffusion.sampling.conditioning import Condition

_KNOWN_FINITE = "_heddle_finite"


class DamagedWeights(ValueError):
    """Weights with values that are not numbers."""

    def __init__(self, source: str, names: list[str]):
        self.names = names
        super().__init__(f"{Path(source).name or 'the model'}: {damage(names)}")


def check_weights(model: Model) -> None:
    """Raise DamagedWeights unless every weight is a number. A network is looked through once."""
    own = vars(model.network)
    if not own.get(_KNOWN_FINITE):
        if names := damaged_tensors(model.network):
            raise DamagedWeights(model.source, names)
        own[_KNOWN_FINITE] = True


def check_latents(model: Model, latent: Tensor, noise: Tensor) -> None:
    """Raise ValueError unless latent and noise fit the model, each other, and are numbers."""
    if latent.ndim != 4 or latent.shape[1] != model.latent.channels:
        raise ValueError(
            f"{model.family.name} works on latents of shape (B, {model.latent.channels}, H, W); "
            f"this one is {tuple(latent.shape)}: it was made for another model line"
        )
    if noise.shape != latent.shape:
        raise ValueError(f"The noise is {tuple(noise.shape)}, the latent {tuple(latent.shape)}: they have to match")
    for what, tensor in (("latent", latent), ("noise", noise)):
        if not tensor.isfinite().all():
            raise ValueError(f"The {what} to sample from holds NaN or infinity: look at the node that made it")


def check_text(model: Model, condition: Condition, vector: Tensor | None) -> None:
    """Raise ValueError for a text that the model does not read, or one that is not made of numbers.

    vector: the vector condition made of it, (B, V).
    """
    context = condition.context
    wanted: int | None = getattr(model.config, "context_width", None)
    name = Path(model.source).name or "the model"
    if wanted is not None and context.shape[2] != wanted:
        line = TEXT_WIDTHS.get(context.shape[2])
        raise ValueError(
            f"{name} is {model.family.name} and reads a text of width {wanted}; this one has width {context.shape[2]}"
            f"{f', as that for {line}' if line else ''}: encode the prompt with the text encoder of this model"
        )
    width: int | None = getattr(model.config, "vector_width", None)
    if vector is not None and width is not None and vector.shape[1] != width:
        raise ValueError(
            f"{name} is {model.family.name} and needs a vector of width {width} beside the text; from this one it is "
            f"{vector.shape[1]}: encode the prompt with the text encoders of this model"
        )
    for what, tensor in (("text", context), ("pooled text", condition.pooled)):
        if tensor is not None and not tensor.isfinite().all():
            raise ValueError(f"The encoded {what} holds NaN or infinity: its text encoder is damaged or overflows")
