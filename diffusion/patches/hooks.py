"""Typed hooks: every place inside a diffusion network where a caller may look at or change what passes through.

A `ModelHooks` is a value. It is handed to each call of a network, so two handles that share one network can carry
different hooks, and nothing is ever installed in, or has to be removed from, the network itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import zip_longest
from types import MappingProxyType
from typing import Literal, Protocol, Self

import torch
from torch import Tensor

Role = Literal["positive", "negative"]
BlockKind = Literal["input", "middle", "output", "double", "single"]
"""The parts of a UNet; or the blocks of a transformer with two streams of tokens, and those with one."""
Attention = Literal["attn1", "attn2"]
"""attn1 is self-attention, attn2 attends to the context; the names are those in the checkpoints."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """What hooks may know about one call of the network."""

    shape: torch.Size
    """Shape of the latent batch that came in, (B, C, H, W)."""
    sigmas: Tensor
    """Noise level of each row, (B,)."""
    roles: tuple[Role, ...] = ()
    """The batch consists of len(roles) chunks of equal size; the role of each, in order."""
    schedule: Tensor | None = None
    """All sigmas of the running sampler, where it has any."""
    context_bias: Tensor | None = None
    """(B, T) float32: added to the scores of the context's tokens in attention."""
    extras: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Anything a caller wants its own hooks to find."""

    def rows(self, role: Role) -> list[int]:
        """Indices along the batch that play `role`."""
        size = self.shape[0] // max(len(self.roles), 1)
        return [i * size + row for i, r in enumerate(self.roles) if r == role for row in range(size)]


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """Where in the network a hook is being called. Input and output blocks are numbered as in the checkpoint."""

    call: CallInfo
    kind: BlockKind
    index: int
    size: tuple[int, int] = (0, 0)
    """Height and width of the feature map in this block; tokens are its positions, row by row."""
    transformer: int = 0
    """Position of the transformer layer within the block."""
    transformer_total: int = 0
    """Position of the transformer layer in the whole network, in order of execution."""
    heads: int = 0
    head_width: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """An address of attention: a block, and either one of its transformer layers or (None) all of them."""

    kind: BlockKind
    index: int
    transformer: int | None = None


@dataclass(frozen=True, slots=True)
class Streams:
    """What passes from block to block of a diffusion transformer."""

    image: Tensor
    """(B, T, D); in single blocks of networks that join them, the text's tokens come before the picture's."""
    text: Tensor | None = None
    """(B, S, D), where the text is a stream of its own."""


RunBlock = Callable[[Streams], Streams]


class BlockWrapper(Protocol):
    def __call__(self, block: RunBlock, streams: Streams, info: BlockInfo, /) -> Streams:
        """Runs instead of a transformer's block; `block(streams)` is the block itself."""
        ...


class EmbHook(Protocol):
    def __call__(self, emb: Tensor, base_width: int, info: CallInfo, /) -> Tensor:
        """Changes the (B, 4 * base_width) embedding of timestep and vector condition."""
        ...


class AttentionInputHook(Protocol):
    def __call__(self, query: Tensor, key: Tensor, value: Tensor, info: BlockInfo, /) -> tuple[Tensor, Tensor, Tensor]:
        """Changes what is about to be projected to q, k and v, each (B, T, D)."""
        ...


class AttentionReplacement(Protocol):
    def __call__(self, query: Tensor, key: Tensor, value: Tensor, info: BlockInfo, /) -> Tensor:
        """Computes attention from projected q, k, v, each (B, T, heads * head_width), heads not yet split.

        Returns (B, T, heads * head_width), before the output projection.
        """
        ...


class TokensHook(Protocol):
    def __call__(self, tokens: Tensor, info: BlockInfo, /) -> Tensor:
        """Changes tokens, (B, T, D)."""
        ...


class BlockHook(Protocol):
    def __call__(self, hidden: Tensor, info: BlockInfo, /) -> Tensor:
        """Changes the feature map a block has made, (B, C, H, W)."""
        ...


class OutputBlockHook(Protocol):
    def __call__(self, hidden: Tensor, skip: Tensor, info: BlockInfo, /) -> tuple[Tensor, Tensor]:
        """Changes feature map and skip connection, each (B, C, H, W), before an output block joins them."""
        ...


@dataclass(frozen=True, slots=True)
class Control:
    """Feature maps from a control network, added inside the diffusion network; None leaves a place as it is.

    A tuple shorter than the network's blocks leaves the remaining ones as they are.
    """

    inputs: tuple[Tensor | None, ...] = ()
    """Added to the running feature map after input block i, and so also to its skip (T2I-Adapter)."""
    skips: tuple[Tensor | None, ...] = ()
    """Added to the skip connection of input block i alone (ControlNet)."""
    middle: Tensor | None = None
    """Added after the middle block."""
    double: tuple[Tensor | None, ...] = ()
    """Added to the picture's tokens after double block i of a transformer, (B, T, D)."""
    single: tuple[Tensor | None, ...] = ()
    """The same for single blocks."""

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Control":
        """The same residuals, each changed."""

        def each(tensors: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
            return tuple(None if tensor is None else change(tensor) for tensor in tensors)

        middle = None if self.middle is None else change(self.middle)
        return Control(each(self.inputs), each(self.skips), middle, each(self.double), each(self.single))

    def __add__(self, other: "Control") -> "Control":
        """Several control networks at once: their residuals are summed."""

        def each(mine: tuple[Tensor | None, ...], theirs: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
            return tuple(_sum(*pair) for pair in zip_longest(mine, theirs))

        return Control(
            each(self.inputs, other.inputs),
            each(self.skips, other.skips),
            _sum(self.middle, other.middle),
            each(self.double, other.double),
            each(self.single, other.single),
        )


def spread(residuals: tuple[Tensor | None, ...], blocks: int) -> tuple[Tensor | None, ...]:
    """One residual for each block where a control network has fewer: each serves the same number of blocks in a row."""
    if not residuals:
        return (None,) * blocks
    run = -(-blocks // len(residuals))
    return tuple(residuals[i // run] for i in range(blocks))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


Extra = Mapping[str, "Tensor | tuple[Tensor, ...]"]
"""What some networks take beside the rest, by the names of their arguments; each begins with the batch."""


@dataclass(frozen=True, slots=True)
class NetworkCall:
    """The arguments of a diffusion network, for wrappers that change them."""

    x: Tensor
    """(B, C, H, W)"""
    timesteps: Tensor
    """(B,)"""
    context: Tensor
    """(B, T, D)"""
    y: Tensor | None
    """(B, V)"""
    control: Control | None
    hooks: "ModelHooks"
    info: CallInfo
    extra: Extra = field(default_factory=lambda: MappingProxyType({}))


Forward = Callable[[NetworkCall], Tensor]


class Wrapper(Protocol):
    def __call__(self, forward: Forward, call: NetworkCall, /) -> Tensor:
        """Runs instead of the network; `forward(call)` goes on to the next wrapper and finally to the network."""
        ...


@dataclass(frozen=True, slots=True)
class ModelHooks:
    """Hooks by place, each tuple in the order in which its members run."""

    wrappers: tuple[Wrapper, ...] = ()
    """The first is the outermost."""
    emb: tuple[EmbHook, ...] = ()
    attn1_inputs: tuple[AttentionInputHook, ...] = ()
    attn1_outputs: tuple[TokensHook, ...] = ()
    attn2_inputs: tuple[AttentionInputHook, ...] = ()
    attn2_outputs: tuple[TokensHook, ...] = ()
    between_attentions: tuple[TokensHook, ...] = ()
    """After self-attention has been added, before cross-attention."""
    input_blocks: tuple[BlockHook, ...] = ()
    """Before the feature map is kept as skip connection."""
    input_blocks_after_skip: tuple[BlockHook, ...] = ()
    """After it has been kept: changes only what the next block sees."""
    middle_block: tuple[BlockHook, ...] = ()
    output_blocks: tuple[OutputBlockHook, ...] = ()
    blocks: Mapping[Place, BlockWrapper] = field(default_factory=lambda: MappingProxyType({}))
    """Around whole blocks of a transformer."""
    attn1_replacements: Mapping[Place, AttentionReplacement] = field(default_factory=lambda: MappingProxyType({}))
    attn2_replacements: Mapping[Place, AttentionReplacement] = field(default_factory=lambda: MappingProxyType({}))

    def __or__(self, later: "ModelHooks") -> Self:
        """Both sets: of hooks at one place the later ones run after, of replacements the later one wins."""
        joined: dict[str, object] = {}
        for f in fields(self):
            mine, theirs = getattr(self, f.name), getattr(later, f.name)
            joined[f.name] = mine + theirs if isinstance(mine, tuple) else MappingProxyType({**mine, **theirs})
        return replace(self, **joined)

    def replacement(self, attention: Attention, info: BlockInfo) -> AttentionReplacement | None:
        """What computes this attention instead of the network: an exact address goes before a whole block's."""
        found = self.attn1_replacements if attention == "attn1" else self.attn2_replacements
        if not found:
            return None
        exact = found.get(Place(info.kind, info.index, info.transformer))
        return exact or found.get(Place(info.kind, info.index))

    def run_block(self, place: Place, block: RunBlock, streams: Streams, call: CallInfo) -> Streams:
        """Runs a transformer's block, through its wrapper where it has one."""
        wrapper = self.blocks.get(place)
        return block(streams) if wrapper is None else wrapper(block, streams, BlockInfo(call, place.kind, place.index))

    def run(self, forward: Forward, call: NetworkCall) -> Tensor:
        """Calls `forward` through all wrappers."""
        for wrapper in reversed(self.wrappers):
            forward = _wrapped(wrapper, forward)
        return forward(call)


def _wrapped(wrapper: Wrapper, forward: Forward) -> Forward:
    return lambda call: wrapper(forward, call)


NO_HOOKS = ModelHooks()
