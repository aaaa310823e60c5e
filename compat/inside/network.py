"""Our networks behind the call that packs know, and their patches as hooks of ours.

A network of ours is called with `hooks` and `info`; packs call it, and wrap its call, with `transformer_options`: a
dict of patches by place. Here one becomes the other, call by call.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.patches.hooks import NO_HOOKS, BlockInfo, CallInfo, Control, ModelHooks, Place, Role, RunBlock, Streams

OUR_HOOKS = "heddle: hooks"
"""The key in `transformer_options` under which the hooks travel that our own nodes set."""


CONTEXT_BIAS = "context_bias"
"""The argument in which weights of a context's tokens come, (B, T, 1)."""


class CalledByPacks:
    """Mixed into the class of a network: forward takes what packs pass."""

    def forward(
        self, x: Tensor, timesteps: Any, context: Any = None, y: Any = None, control: Any = None,
        transformer_options: Mapping[str, Any] | None = None, **extra: Any,
    ) -> Tensor:  # fmt: skip
        from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers

        options = transformer_options if transformer_options is not None else {}
        wrappers = get_all_wrappers(WrappersMP.DIFFUSION_MODEL, options)
        if not wrappers:
            return self._forward_of_ours(x, timesteps, context, y, control, options, **extra)
        executor = WrapperExecutor.new_class_executor(self._forward_of_ours, self, wrappers)
        return executor.execute(x, timesteps, context, y, control, options, **extra)

    def _forward_of_ours(
        self, x: Tensor, timesteps: Any, context: Any = None, y: Any = None, control: Any = None,
        transformer_options: Mapping[str, Any] | None = None, **extra: Any,
    ) -> Tensor:  # fmt: skip
        options = transformer_options or {}
        bias = extra.get(CONTEXT_BIAS)
        info = call_info(x, options, None if bias is None else bias[..., 0])
        hooks = hooks_of(options)
        times = timesteps if isinstance(timesteps, Tensor) else torch.as_tensor(timesteps)
        times = times.to(x.device).expand(x.shape[0]) if times.ndim == 0 or len(times) == 1 else times
        more = {name: tuple(v) if isinstance(v, list) else v for name, v in extra.items() if name != CONTEXT_BIAS}
        if not _takes_extra(type(self)):
            more = {}  # what only other networks know
        return super().forward(x, times, context, y, control_of(control), hooks=hooks, info=info, **more)  # type: ignore[misc]


@cache
def _takes_extra(kind: type) -> bool:
    base: Any = kind.__mro__[2]
    return any(p.kind is p.VAR_KEYWORD for p in signature(base.forward).parameters.values())


_classes: dict[type, type] = {}


def as_packs_call(network: nn.Module, like: nn.Module | None = None) -> nn.Module:
    """The same network (weights, modules and hooks shared) behind the call that packs know.

    like: another of these, whose own attributes (what packs have set on it) are taken over.
    """
    if isinstance(network, CalledByPacks):
        return network
    kind = type(network)
    if kind not in _classes:
        _classes[kind] = type(kind.__name__, (CalledByPacks, kind), {"__module__": kind.__module__})
    twin = copy.copy(network)
    twin.__class__ = _classes[kind]
    if like is not None:
        tables = ("_parameters", "_buffers", "_modules")
        vars(twin).update({name: value for name, value in vars(like).items() if name not in tables})
    return twin


def call_info(x: Tensor, options: Mapping[str, Any], bias: Tensor | None = None) -> CallInfo:
    """bias: (B, T), added to the scores of attention to the context."""
    sigmas = options.get("sigmas")
    if not isinstance(sigmas, Tensor):
        sigmas = x.new_zeros(1)
    if len(sigmas) != x.shape[0]:
        sigmas = sigmas[:1].expand(x.shape[0])
    roles: tuple[Role, ...] = tuple(
        "negative" if which == 1 else "positive" for which in options.get("cond_or_uncond", ())
    )
    return CallInfo(
        x.shape, sigmas, roles, schedule=options.get("sample_sigmas"), context_bias=bias, extras=dict(options)
    )


def control_of(control: Any) -> Control | None:
    """Residuals as packs pass them, lists that are taken from the end: of "input" and "middle" the last is the first
    block's, of "output" the last is that of the deepest skip connection."""
    if control is None or isinstance(control, Control):
        return control
    middle = [tensor for tensor in control.get("middle", ()) if tensor is not None]
    return Control(
        inputs=tuple(reversed(control.get("input", ()))),
        skips=tuple(control.get("output", ())),
        middle=middle[-1] if middle else None,
        double=tuple(control.get("double", ())),
        single=tuple(control.get("single", ())),
    )


def control_dict(control: Control | None) -> dict[str, list[Any]]:
    """The other way round; "double" and "single" are the blocks of transformers, in their order."""
    if control is None:
        return {"input": [], "middle": [], "output": []}
    found = {
        "input": list(reversed(control.inputs)),
        "middle": [control.middle],
        "output": list(control.skips),
        "double": list(control.double),
        "single": list(control.single),
    }
    return {name: tensors for name, tensors in found.items() if any(tensor is not None for tensor in tensors)}


def extra_options(info: BlockInfo, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a patch is told: the run's options, and where in the network it is called."""
    return {
        **options,
        "block": (info.kind, info.index),
        "block_index": info.transformer,
        "transformer_index": info.transformer_total,
        "n_heads": info.heads,
        "dim_head": info.head_width,
        "activations_shape": [*info.call.shape[:1], 0, *info.size],
        "original_shape": options.get("original_shape", list(info.call.shape)),
        "attn_precision": None,
    }


def hooks_of(options: Mapping[str, Any]) -> ModelHooks:
    """The patches of `transformer_options`, after the hooks that our own nodes set."""
    ours: ModelHooks = options.get(OUR_HOOKS, NO_HOOKS)
    patches: Mapping[str, Any] = options.get("patches") or {}
    replacements: Mapping[str, Any] = options.get("patches_replace") or {}
    if not patches and not replacements:
        return ours

    def each(name: str, make: Any) -> tuple[Any, ...]:
        return tuple(make(patch) for patch in patches.get(name, ()))

    def inputs(patch: Any) -> Any:
        return lambda q, k, v, info: patch(q, k, v, extra_options(info, options))

    def tokens(patch: Any) -> Any:
        return lambda x, info: patch(x, extra_options(info, options))

    def block(patch: Any) -> Any:
        return lambda h, info: patch(h, {**options, "block": (info.kind, info.index)})

    def output(patch: Any) -> Any:
        return lambda h, skip, info: patch(h, skip, {**options, "block": (info.kind, info.index)})

    theirs = ModelHooks(
        emb=each("emb_patch", lambda patch: lambda emb, width, info: patch(emb, width, dict(options))),
        attn1_inputs=each("attn1_patch", inputs),
        attn1_outputs=each("attn1_output_patch", tokens),
        attn2_inputs=each("attn2_patch", inputs),
        attn2_outputs=each("attn2_output_patch", tokens),
        between_attentions=each("middle_patch", tokens),
        input_blocks=each("input_block_patch", block),
        input_blocks_after_skip=each("input_block_patch_after_skip", block),
        middle_block=each("middle_block_patch", block) + each("middle_block_after_patch", block),
        output_blocks=each("output_block_patch", output),
        blocks=_blocks(replacements.get("dit") or {}, patches.get("double_block", ()), options),
        attn1_replacements=_replacements(replacements.get("attn1"), options),
        attn2_replacements=_replacements(replacements.get("attn2"), options),
    )
    return ours | theirs


KINDS = {"double_block": "double", "single_block": "single"}
MOST_BLOCKS = 128


def _blocks(replaced: Mapping[Any, Any], after_double: Sequence[Any], options: Mapping[str, Any]) -> dict[Place, Any]:
    """Around blocks of transformers: those that are replaced, and patches that follow every block of two streams."""
    found: dict[Place, Any] = {}
    for (name, number, *_), patch in replaced.items():
        if name in KINDS:
            found[Place(KINDS[name], number)] = _around(patch, options)
    if after_double:
        for number in range(MOST_BLOCKS):
            place = Place("double", number)
            found[place] = _followed(found.get(place), after_double, number, options)
    return found


def _around(patch: Any, options: Mapping[str, Any]) -> Any:
    """A patch is called with the streams by name, and the block itself as "original_block"."""

    def wrapper(block: RunBlock, streams: Streams, info: BlockInfo) -> Streams:
        def original(args: Mapping[str, Any]) -> dict[str, Any]:
            return _by_name(block(Streams(args["img"], args.get("txt"))))

        mine = {**options, "block": (f"{info.kind}_block", info.index), "block_index": info.index}
        args = {**_by_name(streams), "vec": None, "pe": None, "attn_mask": None, "transformer_options": mine}
        made = patch(args, {"original_block": original})
        return Streams(made["img"], made.get("txt", streams.text))

    return wrapper


def _followed(before: Any, patches: Sequence[Any], number: int, options: Mapping[str, Any]) -> Any:
    def wrapper(block: RunBlock, streams: Streams, info: BlockInfo) -> Streams:
        made = block(streams) if before is None else before(block, streams, info)
        for patch in patches:
            told = {**_by_name(made), "x": None, "block_index": number, "transformer_options": dict(options)}
            changed = patch(told)
            made = Streams(changed["img"], changed.get("txt", made.text))
        return made

    return wrapper


def _by_name(streams: Streams) -> dict[str, Any]:
    named = {"img": streams.image}
    return named if streams.text is None else {**named, "txt": streams.text}


def _replacements(found: Mapping[Any, Any] | None, options: Mapping[str, Any]) -> dict[Place, Any]:
    """Addresses are (block, number), or with a third the layer within the block."""

    def calling(patch: Any) -> Any:
        return lambda q, k, v, info: patch(q, k, v, extra_options(info, options))

    return {Place(address[0], address[1], *address[2:3]): calling(patch) for address, patch in (found or {}).items()}
