"""How a network is computed: its number format, and compilation."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import Forward, ModelHooks, NetworkCall
from diffusion.patches.weights import patched

COMPUTE_DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
)


def computing_in(model: Model, dtype: torch.dtype) -> Model:
    """The network computing in another number format than its weights have, as far as torch's autocast allows.

    Raises ValueError for float32 on weights of half precision: they have to be loaded in float32.
    """
    weights = compute_dtype(model.network)
    if dtype == weights:
        return model
    if dtype == torch.float32:
        raise ValueError(f"weights held in {weights} cannot be computed in float32; load the model in float32")

    def wrapper(forward: Forward, call: NetworkCall) -> Tensor:
        with torch.autocast(call.x.device.type, dtype):
            return forward(call).to(call.x.dtype)

    return model.with_hooks(ModelHooks(wrappers=(wrapper,)))


def compiled(model: Model, backend: str) -> Model:
    """The network, with its patches so far, compiled when it is first called.

    Patches put on later work, on a copy that is not compiled.
    """
    twin = copy.copy(patched(model.network, model.patches))
    # Untyped in torch. It compiles calls of this object alone: weights are shared, the original stays as it is.
    twin.compile(backend=backend)  # pyright: ignore[reportUnknownMemberType]
    return replace(model, network=twin, patches=())
