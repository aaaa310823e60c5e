"""An exception of a node, as data. Nothing an exception can be or hold makes this fail or grow without bound."""

import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from execution.plain import plain
from execution.problems import NodeProblem

_MOST_TRACEBACK = 64 * 1024
_MOST_ELEMENTS = 16
_MOST_MESSAGE = 16 * 1024
_HERE = str(Path(__file__).parent)


def problem_of(
    error: BaseException,
    node_id: str,
    node_type: str,
    arguments: Mapping[str, Sequence[Any]],
    executed: Sequence[str],
) -> NodeProblem:
    """Why a node ended its job. Afterwards the exception holds on to nothing any more."""
    problem = NodeProblem(
        node_id,
        node_type,
        exception_type(error),
        message_of(error),
        traceback_of(error),
        inputs_of(arguments),
        tuple(executed),
    )
    forget_frames(error)
    return problem


def exception_type(error: BaseException) -> str:
    """Bare for builtins, else with its module."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ in ("builtins", None) else f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """The exception's text, with those of the exceptions it groups."""
    try:
        text = str(error)
    except BaseException as raised:  # a __str__ of a third party may raise anything at all
        text = f"<its text could not be made: {type(raised).__name__}>"
    if isinstance(error, BaseExceptionGroup):
        inner = "; ".join(f"{exception_type(e)}: {message_of(e)}" for e in error.exceptions[:_MOST_ELEMENTS])  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]  # the group's element type is not known here
        text = f"{text}: {inner}"
    return text if len(text) <= _MOST_MESSAGE else f"{text[:_MOST_MESSAGE]}…"


def traceback_of(error: BaseException) -> list[str]:
    """Formatted lines, at most 64 KiB of UTF-8 together; the middle is left out where there is more."""
    try:
        chunks = traceback.format_exception(type(error), error, _from_the_node(error.__traceback__), limit=100)
    except BaseException as raised:  # formatting calls str() of the exception and its causes
        return [f"<the traceback could not be made: {type(raised).__name__}>\n"]
    lines = [line for chunk in chunks for line in chunk.splitlines(keepends=True)]
    sizes = [len(line.encode("utf-8", "replace")) for line in lines]
    if sum(sizes) <= _MOST_TRACEBACK:
        return lines
    half = _MOST_TRACEBACK // 2 - 100
    head = _within(lines, sizes, half)
    tail = _within(lines[::-1], sizes[::-1], half)[::-1]
    return [*head, "  …\n", *tail]


def _from_the_node(frames: TracebackType | None) -> TracebackType | None:
    """Without the engine's own frames at the beginning, unless there are no others."""
    rest = frames
    while rest is not None and rest.tb_frame.f_code.co_filename.startswith(_HERE):
        rest = rest.tb_next
    return rest or frames


def _within(lines: Sequence[str], sizes: Sequence[int], limit: int) -> list[str]:
    taken: list[str] = []
    for line, size in zip(lines, sizes, strict=True):
        if size > limit:
            if not taken:
                taken.append(line[: limit // 4] + "…\n")
            break
        taken.append(line)
        limit -= size
    return taken


def inputs_of(arguments: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """What a node held when it failed: scalars as they are, everything else as short texts."""
    return {str(name): [_shown(value) for value in values[:_MOST_ELEMENTS]] for name, values in arguments.items()}


def _shown(value: Any) -> Any:
    shown = plain(value, 0)
    return f"{shown[:1000]}…" if isinstance(shown, str) and len(shown) > 1000 else shown


def forget_frames(error: BaseException) -> None:
    """Let go of what the frames of a traceback hold (tensors, mostly); the exception itself may live on in logs."""
    seen: set[int] = set()
    stack: list[BaseException | None] = [error]
    while stack:
        current = stack.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        if current.__traceback__ is not None:
            traceback.clear_frames(current.__traceback__)
        stack.extend((current.__cause__, current.__context__))
