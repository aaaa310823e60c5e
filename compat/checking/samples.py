"""Values to try nodes with: small, of several, and never all alike, so that what is mixed up is seen."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from compat.border import to_pack
from compat.checking import models
from diffusion.handles import Model
from diffusion.sampling.solvers import sampler
from execution.spec import InputSpec

SAMPLE_PICTURE = "sample.png"
"""In the input folder while a pack is tried."""


class NoSample(LookupError):
    """There is nothing to try an input with. type: of the input."""

    def __init__(self, type: str):
        self.type = type
        super().__init__(f"nothing here makes a {type} to try it with")


def _draw(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator("cpu").manual_seed(0))


class _Noise:
    seed = 0

    def generate_noise(self, latent: Mapping[str, Any]) -> Tensor:
        return torch.randn(latent["samples"].shape, generator=torch.Generator("cpu").manual_seed(self.seed))


def _leave(latent: Tensor, **_: Any) -> Tensor:
    return latent


SOCKETS: Mapping[str, Callable[[], Any]] = {
    "IMAGE": lambda: _draw(2, 16, 24, 3),
    "MASK": lambda: _draw(2, 16, 24),
    "LATENT": lambda: {"samples": _draw(2, 4, 8, 12) * 2 - 1},
    "CONDITIONING": lambda: [[_draw(1, 77, models.WIDTH), {"pooled_output": _draw(1, models.WIDTH)}]],
    "MODEL": lambda: replace(models.model()),  # a handle of its own, so that what one node hangs on it is gone
    "CLIP": models.text_encoders,
    "VAE": models.autoencoder,
    "SAMPLER": lambda: sampler("euler"),
    "SIGMAS": lambda: torch.linspace(10, 0, 5),
    "AUDIO": lambda: {"waveform": _draw(1, 2, 800) * 2 - 1, "sample_rate": 8000},
    "NOISE": _Noise,
    "LATENT_OPERATION": lambda: _leave,
    "TIMESTEPS_RANGE": lambda: (0.0, 1.0),
    "FLOATS": lambda: [0.25, 0.5],
    "INT": lambda: 3,
    "FLOAT": lambda: 0.5,
    "STRING": lambda: "a text",
    "BOOLEAN": lambda: True,
    "*": lambda: _draw(2, 16, 24, 3),
}


def sample_of(spec: InputSpec) -> Any:
    """What to try an input with: its default where it has one, else something it takes. Raises NoSample."""
    if spec.names_file:
        return SAMPLE_PICTURE
    if "default" in spec.options and not spec.options.get("forceInput"):
        return spec.options["default"]
    if spec.type == "COMBO":
        if not spec.choices:
            raise NoSample(f"choice ({spec.name} has none here)")
        return [spec.choices[0]] if spec.options.get("multiselect") else spec.choices[0]
    for kind in spec.type.split(","):
        if (make := SOCKETS.get(kind.strip())) is not None:
            return _within(make(), spec)
    raise NoSample(spec.type)


def _within(value: Any, spec: InputSpec) -> Any:
    """A number inside the limits."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = spec.options.get("min"), spec.options.get("max")
        value = max(value, low) if low is not None else value
        value = min(value, high) if high is not None else value
    return value


def copied(value: Any) -> Any:
    """A copy to compare with later: tensors and containers are copied, of a model what hangs on it; other things are
    what they are."""
    match value:
        case Model():
            return hanging_on(value)
        case Tensor():
            return value.clone()
        case dict():
            return {key: copied(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [copied(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case tuple():
            return tuple(copied(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def hanging_on(model: Model) -> Any:
    """What packs see hanging on a model, in a form that can be compared."""
    patcher = to_pack(model)
    parts = (getattr(patcher, name, None) for name in ("model_options", "patches", "object_patches"))
    return [_outlined(part) for part in parts]


def _outlined(value: Any) -> Any:
    """Containers as they are, and what they hold by its identity."""
    match value:
        case dict():
            return {str(key): _outlined(item) for key, item in value.items()}  # pyright: ignore
        case list() | tuple():
            return [_outlined(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return id(value)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal through and through; NaN equals NaN. What cannot be compared counts as equal."""
    if type(a) is not type(b):
        return False
    match a:
        case Tensor():
            if a.shape != b.shape or a.dtype != b.dtype or a.device != b.device:
                return False
            return a.device.type == "meta" or torch.equal(a.nan_to_num(), b.nan_to_num())
        case dict():
            return a.keys() == b.keys() and all(same(item, b[key]) for key, item in a.items())  # pyright: ignore
        case list() | tuple():
            return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))  # pyright: ignore
        case str() | int() | float() | bytes() | bool():
            return a == b or a != a
        case _:
            return True
