"""The block formats of GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) as arithmetic on bytes.

Elements lie in blocks, 32 or 256 to a block; a block's bytes hold a scale or two and small whole numbers. Each function
takes (N, bytes of a block) uint8 and gives (N, elements of a block) float32.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor


class BlockType(IntEnum):
    """Numbers of the formats as files have them."""

    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q2_K = 10
    Q3_K = 11
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14


@dataclass(frozen=True, slots=True)
class Gguf:
    """Weights in blocks of one format."""

    type: BlockType

    def unpack(self, stored: Tensor, scale: Tensor | None, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """stored: (…, bytes) uint8, whole blocks along the last axis."""
        size, values = BLOCKS[self.type]
        return values(stored.reshape(-1, size)).to(dtype).reshape(shape)


def _half(blocks: Tensor, place: int) -> Tensor:
    """The float16 at a byte, (N, 1) float32."""
    return blocks[:, place : place + 2].contiguous().view(torch.float16).float()


def _nibbles(packed: Tensor) -> Tensor:
    """(…, n) bytes to (…, 2, n): the low halves, then the high ones."""
    return torch.stack([packed & 15, packed >> 4], dim=-2)


def _bits(packed: Tensor, width: int) -> Tensor:
    """(…, n) bytes to (…, 8 / width, n): their parts of `width` bits from the lowest up."""
    return torch.stack([(packed >> shift) & ((1 << width) - 1) for shift in range(0, 8, width)], dim=-2)


def _q4_0(b: Tensor) -> Tensor:
    return _half(b, 0) * (_nibbles(b[:, 2:]).flatten(1).float() - 8)


def _q4_1(b: Tensor) -> Tensor:
    return _half(b, 0) * _nibbles(b[:, 4:]).flatten(1).float() + _half(b, 2)


def _fifth_bits(packed: Tensor) -> Tensor:
    """Four bytes with a bit for each of 32 elements, as 16 or 0."""
    return _bits(packed, 1).transpose(1, 2).flatten(1) << 4


def _q5_0(b: Tensor) -> Tensor:
    return _half(b, 0) * ((_nibbles(b[:, 6:]).flatten(1) | _fifth_bits(b[:, 2:6])).float() - 16)


def _q5_1(b: Tensor) -> Tensor:
    return _half(b, 0) * (_nibbles(b[:, 8:]).flatten(1) | _fifth_bits(b[:, 4:8])).float() + _half(b, 2)


def _q8_0(b: Tensor) -> Tensor:
    return _half(b, 0) * b[:, 2:].view(torch.int8).float()


def _grouped(values: Tensor, scales: Tensor, offsets: Tensor | None = None) -> Tensor:
    """(N, 256) numbers times the scale of their group, less its offset; (N, groups) each."""
    groups = values.float().reshape(len(values), scales.shape[1], -1) * scales[..., None]
    return (groups if offsets is None else groups - offsets[..., None]).flatten(1)


def _q2_k(b: Tensor) -> Tensor:
    scales = b[:, :16]
    numbers = _bits(b[:, 16:80].reshape(-1, 2, 32), 2).flatten(1)
    return _grouped(numbers, _half(b, 80) * (scales & 15).float(), _half(b, 82) * (scales >> 4).float())


def _q3_k(b: Tensor) -> Tensor:
    high = _bits(b[:, None, :32], 1).flatten(1)
    numbers = _bits(b[:, 32:96].reshape(-1, 2, 32), 2).flatten(1).float() - 4 * (1 - high.float())
    low = _nibbles(b[:, 96:104]).flatten(1)
    scales = (low | (_bits(b[:, 104:108], 2).flatten(1) << 4)).float() - 32
    return _grouped(numbers, _half(b, 108) * scales)


def _six_bit_pairs(b: Tensor) -> tuple[Tensor, Tensor]:
    """Twelve bytes with eight scales and eight offsets of six bits; (N, 8) float32 each."""
    first, second, rest = b[:, :4], b[:, 4:8], b[:, 8:]
    scales = torch.cat([first & 63, (rest & 15) | ((first >> 6) << 4)], dim=1)
    offsets = torch.cat([second & 63, (rest >> 4) | ((second >> 6) << 4)], dim=1)
    return scales.float(), offsets.float()


def _q4_k(b: Tensor) -> Tensor:
    scales, offsets = _six_bit_pairs(b[:, 4:16])
    numbers = _nibbles(b[:, 16:].reshape(-1, 4, 32)).flatten(1)
    return _grouped(numbers, _half(b, 0) * scales, _half(b, 2) * offsets)


def _q5_k(b: Tensor) -> Tensor:
    scales, offsets = _six_bit_pairs(b[:, 4:16])
    high = _bits(b[:, None, 16:48], 1).flatten(1) << 4
    numbers = _nibbles(b[:, 48:].reshape(-1, 4, 32)).flatten(1) | high
    return _grouped(numbers, _half(b, 0) * scales, _half(b, 2) * offsets)


def _q6_k(b: Tensor) -> Tensor:
    low = _nibbles(b[:, :128].reshape(-1, 2, 64)).flatten(1)
    high = _bits(b[:, 128:192].reshape(-1, 2, 32), 2).flatten(1) << 4
    scales = b[:, 192:208].contiguous().view(torch.int8).float()
    return _grouped((low | high).float() - 32, _half(b, 208) * scales)


BLOCKS: Mapping[BlockType, tuple[int, Callable[[Tensor], Tensor]]] = {
    # Bytes of a block, and how to read it.
    BlockType.Q4_0: (18, _q4_0),
    BlockType.Q4_1: (20, _q4_1),
    BlockType.Q5_0: (22, _q5_0),
    BlockType.Q5_1: (24, _q5_1),
    BlockType.Q8_0: (34, _q8_0),
    BlockType.Q2_K: (84, _q2_k),
    BlockType.Q3_K: (110, _q3_k),
    BlockType.Q4_K: (144, _q4_k),
    BlockType.Q5_K: (176, _q5_k),
    BlockType.Q6_K: (210, _q6_k),
}
