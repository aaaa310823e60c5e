"""What is wrong with what a node made: each value against what its output promises."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from compat.checking.findings import Finding
from execution.plain import plain
from execution.spec import Blocked, Declaration, NodeResult

SCALARS: Mapping[str, tuple[type, ...]] = {
    "INT": (int,),
    "FLOAT": (float, int),
    "STRING": (str,),
    "BOOLEAN": (bool,),
}


def result_findings(result: NodeResult, declaration: Declaration) -> Iterator[Finding]:
    outputs = declaration.outputs
    if len(result.values) != len(outputs):
        wanted = f"{len(outputs)} output{'s' if len(outputs) != 1 else ''}"
        yield Finding("schema", f"it declares {wanted} and made {len(result.values)} values")
    for output, value in zip(outputs, result.values, strict=False):
        name, kind = output.name or str(output.type), output.type
        elements: Sequence[Any] = cast(Sequence[Any], value) if output.is_list else (value,)
        if output.is_list and not isinstance(value, list | tuple):
            yield Finding("schema", f"output {name!r} is declared as a list and is a {type(value).__name__}")
            continue
        for element in elements:
            if not isinstance(element, Blocked):
                yield from _value_findings(element, kind, f"output {name!r}")
    try:
        json.dumps(plain(dict(result.ui)))
    except (TypeError, ValueError) as error:
        yield Finding("schema", f"what it shows is no JSON: {error}")


def _value_findings(value: Any, kind: str | tuple[Any, ...], name: str) -> Iterator[Finding]:
    if isinstance(kind, str) and kind in SCALARS:
        known = SCALARS[kind]
        if not isinstance(value, known) or (kind in ("INT", "FLOAT") and isinstance(value, bool)):
            yield Finding("schema", f"{name} is declared {kind} and is a {type(value).__name__}")
        return
    match kind:
        case "IMAGE":
            yield from _picture(value, name, 4, "(B, H, W, C)")
            if isinstance(value, Tensor) and value.ndim == 4 and value.shape[3] not in (1, 3, 4):
                yield Finding("schema", f"{name} has {value.shape[3]} channels; an IMAGE is (B, H, W, 3 or 4)")
        case "MASK":
            yield from _picture(value, name, 3, "(B, H, W)")
        case "LATENT":
            samples: Any = cast(Mapping[str, Any], value).get("samples") if isinstance(value, Mapping) else None
            if not isinstance(samples, Tensor):
                yield Finding("schema", f"{name} is declared LATENT and is no dict with a tensor under 'samples'")
        case "CONDITIONING":
            if not isinstance(value, list | tuple):
                yield Finding("schema", f"{name} is declared CONDITIONING and is a {type(value).__name__}")
        case "SIGMAS":
            if not isinstance(value, Tensor) or value.ndim != 1:
                yield Finding("schema", f"{name} is declared SIGMAS and is no tensor of one dimension")
        case _:
            pass
    for tensor in tensors_in(value):
        yield from _tensor(tensor, kind, name)


def _picture(value: Any, name: str, dimensions: int, shape: str) -> Iterator[Finding]:
    if not isinstance(value, Tensor):
        yield Finding("schema", f"{name} should be a tensor {shape} and is a {type(value).__name__}")
    elif value.ndim != dimensions:
        yield Finding("schema", f"{name} should be {shape} and has the shape {tuple(value.shape)}")
    elif value.device.type == "cpu" and value.is_floating_point() and value.numel() and value.isfinite().all():
        low, high = float(value.detach().min()), float(value.detach().max())
        if low < -0.01 or high > 1.01:
            yield Finding("numbers", f"{name} goes from {low:.2f} to {high:.2f}; pictures are 0…1", is_fault=False)


def _tensor(tensor: Tensor, kind: str | tuple[Any, ...], name: str) -> Iterator[Finding]:
    if tensor.device.type == "cpu" and tensor.is_floating_point() and not tensor.isfinite().all():
        share = 1 - float(tensor.isfinite().float().mean())
        yield Finding("numbers", f"{name} holds NaN or infinities ({share:.0%} of it)")
    if kind in ("IMAGE", "MASK", "LATENT", "SIGMAS") and tensor.dtype != torch.float32:
        yield Finding("dtype", f"{name} is {str(tensor.dtype).removeprefix('torch.')}; between nodes it is float32")
    if tensor.device.type != "cpu":
        yield Finding("device", f"{name} is on {tensor.device}; between nodes tensors are on the CPU")
    if tensor.requires_grad:
        yield Finding("purity", f"{name} carries gradients, and with them everything that made it; detach it")


def tensors_in(value: Any) -> Iterator[Tensor]:
    match value:
        case Tensor():
            yield value
        case dict():
            for item in cast(dict[Any, Any], value).values():
                yield from tensors_in(item)
        case list() | tuple():
            for item in cast(Sequence[Any], value):
                yield from tensors_in(item)
        case _:
            pass
