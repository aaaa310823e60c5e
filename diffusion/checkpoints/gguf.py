"""GGUF files: diffusion networks and T5 whose matrices are stored in blocks of a few bits an element.

They are read by the `gguf` package, which is optional; see also `ops.gguf_blocks`.
"""

import re
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.weights import Packed, Source, Weights
from diffusion.ops.gguf_blocks import BLOCKS, BlockType, Gguf

# How the package meets files that are damaged or end too early.
_DAMAGE = (ValueError, LookupError, TypeError, OverflowError, MemoryError, OSError, AssertionError)
_PLAIN = ("F64", "F32", "F16", "BF16", "I8", "I16", "I32", "I64")
# T5 as llama.cpp names it -> as transformers does.
_T5 = {
    "token_embd": "shared",
    "enc.output_norm": "encoder.final_layer_norm",
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "attn_norm": "layer.0.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
    "ffn_norm": "layer.1.layer_norm",
}
_BLOCK = re.compile(r"enc\.blk\.(\d+)\.(\w+)\.weight")


def read_gguf(path: Path) -> tuple[Weights, Mapping[str, str]]:
    """The tensors of a GGUF file, mapped, matrices in blocks packed; and its architecture as metadata.

    Raises CheckpointError, also where the package is not installed.
    """
    package = _package(path)
    try:
        # Copy on write: torch wants memory that it may write to.
        reader: Any = package.GGUFReader(path, "c")
        architecture = reader.get_field("general.architecture")
        sources = {_named(tensor.name): _source(path, package, reader, tensor) for tensor in reader.tensors}
        metadata = {"general.architecture": str(architecture.contents())} if architecture else {}
    except CheckpointError:
        raise
    except _DAMAGE as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(path, f"damaged or truncated GGUF file ({reason}); download it again") from error
    return Weights(sources), metadata


def _package(path: Path) -> ModuleType:
    try:
        return import_module("gguf")
    except ModuleNotFoundError as error:
        raise CheckpointError(
            path, "GGUF files are read by the package gguf, which is not installed; `pip install gguf` installs it"
        ) from error


def _named(name: str) -> str:
    if found := _BLOCK.fullmatch(name):
        return f"encoder.block.{found[1]}.{_T5.get(found[2], found[2])}.weight"
    head = name.removesuffix(".weight")
    return f"{_T5[head]}.weight" if head in ("token_embd", "enc.output_norm") else name


def _source(path: Path, package: ModuleType, reader: Any, tensor: Any) -> Source:
    shape: Shape = tuple(int(size) for size in reversed(tensor.shape))
    if original := reader.get_field(f"comfy.gguf.orig_shape.{tensor.name}"):
        # Blocks run along the last axis, so what has a short one was flattened before it was packed.
        stored, shape = shape, tuple(int(size) for size in original.contents())
        if prod(stored) != prod(shape):
            raise CheckpointError(path, f"{tensor.name!r} holds {prod(stored)} numbers, not those of shape {shape}")
    kind: str = tensor.tensor_type.name

    def fetch() -> Tensor:
        return torch.as_tensor(tensor.data)

    if kind == "BF16":
        return Source(shape, torch.bfloat16, lambda: fetch().view(torch.bfloat16).reshape(shape))
    if kind in _PLAIN:
        return Source(shape, fetch().dtype, lambda: fetch().reshape(shape))
    if kind in BlockType.__members__:
        packing = Gguf(BlockType[kind])
        size = torch.Size(shape)
        if tensor.data.shape[-1] % BLOCKS[packing.type][0]:
            raise CheckpointError(path, f"{tensor.name!r} does not consist of whole {kind} blocks")
        return Source(
            shape, torch.float32, lambda: packing.unpack(fetch(), None, size, torch.float32), Packed(packing, fetch)
        )
    # Rarer formats are unpacked once, by the package's own slow arithmetic.
    unpack_by_package = partial(package.quants.dequantize, qtype=tensor.tensor_type)
    _, size = package.GGML_QUANT_SIZES[tensor.tensor_type]
    try:
        unpack_by_package(tensor.data.reshape(-1, size)[:1])
    except NotImplementedError as error:
        known = ", ".join((*_PLAIN, *BlockType.__members__))
        problem = f"{tensor.name!r} is in the format {kind}, which cannot be read; known are {known}"
        raise CheckpointError(path, problem) from error
    return Source(shape, torch.float32, lambda: torch.as_tensor(unpack_by_package(tensor.data)).reshape(shape))
