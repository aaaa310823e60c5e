"""Types for authors of nodes and of model patches."""

from collections.abc import Callable
from typing import Any, Protocol, TypedDict

import torch

from comfy.comfy_types.node_typing import IO as IO
from comfy.comfy_types.node_typing import CheckLazyMixin as CheckLazyMixin
from comfy.comfy_types.node_typing import ComfyNodeABC as ComfyNodeABC
from comfy.comfy_types.node_typing import FileLocator as FileLocator
from comfy.comfy_types.node_typing import InputTypeDict as InputTypeDict


class UnetApplyFunction(Protocol):
    def __call__(self, x: torch.Tensor, t: torch.Tensor, **kwargs: Any) -> torch.Tensor: ...


class UnetApplyConds(TypedDict):
    c_concat: torch.Tensor | None
    c_crossattn: torch.Tensor | None
    control: torch.Tensor | None
    transformer_options: dict | None


class UnetParams(TypedDict):
    input: torch.Tensor
    timestep: torch.Tensor
    c: UnetApplyConds
    cond_or_uncond: list


UnetWrapperFunction = Callable[[UnetApplyFunction, UnetParams], torch.Tensor]
