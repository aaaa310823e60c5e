r"""The weights people type: `(word)` times 1.1, `(word:1.3)` exactly 1.3, nested at will, `\(` and `\)` literal.

An explicit number replaces the weight around it, a bare parenthesis multiplies it. Square brackets, braces, `BREAK` and
`AND` are text. A parenthesis that is never closed makes the rest of the prompt literal, and so does one that closes
nothing; both are reported.

The parser makes two passes and is linear in the length of the text, however deeply it is nested: the first finds which
outermost groups are closed, the second walks through them with a stack of weights. A group's number stands at its end,
so it is found when the group opens, through tables made in the first pass.
"""

import math
import re
from dataclasses import dataclass

from diffusion.text.problems import PromptProblem

BARE = 1.1
"""What a parenthesis without a number multiplies the weight by."""

_LORA_TAG = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>", re.IGNORECASE)


@dataclass(frozen=True)
class Segment:
    """A stretch of text of one weight; escapes are already replaced."""

    text: str
    weight: float


@dataclass(frozen=True)
class Parsed:
    segments: tuple[Segment, ...]
    problems: tuple[PromptProblem, ...]


@dataclass(frozen=True)
class _Scanned:
    """The text as characters, an escaped parenthesis being one of them."""

    characters: list[str]
    is_bare: list[bool]
    """True for a parenthesis that was not escaped."""
    origin: list[int]
    """Index in the text as typed."""


def parse_weights(text: str) -> Parsed:
    """Split a prompt into segments of one weight each, in order; empty segments are left out."""
    scanned = _scan(text)
    problems = [
        PromptProblem("lora_in_text", f"{found[0]} is read as plain text; use a LoRA loader node", found.start())
        for found in _LORA_TAG.finditer(text)
    ]
    groups = _closed_groups(scanned, problems)
    segments: list[Segment] = []
    position = 0
    for start, end in groups:
        _add(segments, scanned.characters[position:start], 1.0)
        if end is None:  # never closed: literal to the end of the text
            position = start
            break
        _read_group(scanned, start, end, segments, problems)
        position = end + 1
    _add(segments, scanned.characters[position:], 1.0)
    return Parsed(tuple(segments), tuple(sorted(problems, key=lambda problem: problem.position or 0)))


def _scan(text: str) -> _Scanned:
    scanned = _Scanned([], [], [])
    i = 0
    while i < len(text):
        escaped = text[i] == "\\" and text[i + 1 : i + 2] in ("(", ")")
        scanned.origin.append(i)
        i += escaped
        scanned.characters.append(text[i])
        scanned.is_bare.append(not escaped and text[i] in "()")
        i += 1
    return scanned


def _add(segments: list[Segment], characters: list[str], weight: float) -> None:
    if characters:
        segments.append(Segment("".join(characters), weight))


def _closed_groups(scanned: _Scanned, problems: list[PromptProblem]) -> list[tuple[int, int | None]]:
    """Outermost groups as (index of the opening, index of the closing or None).

    The depth is allowed below zero: after a stray `)` the next `(` only makes up for it and opens nothing.
    """
    groups: list[tuple[int, int | None]] = []
    depth, start = 0, 0
    for i, character in enumerate(scanned.characters):
        if not scanned.is_bare[i]:
            continue
        if character == "(":
            if depth == 0:
                start = i
            depth += 1
        else:
            if depth == 1:
                groups.append((start, i))
            elif depth == 0:
                message = "this ) closes nothing; it and the groups after it are read as plain text"
                problems.append(PromptProblem("stray_parenthesis", message, scanned.origin[i]))
            depth -= 1
    if depth > 0:
        groups.append((start, None))
        message = "this ( is never closed; everything after it is read as plain text"
        problems.append(PromptProblem("unclosed_parenthesis", message, scanned.origin[start]))
    return groups


def _read_group(
    scanned: _Scanned, start: int, end: int, segments: list[Segment], problems: list[PromptProblem]
) -> None:
    """Reads one balanced group, start and end being its parentheses."""
    closing = _matches(scanned, start, end)
    numbers = {opening: _number(scanned, opening, close, problems) for opening, close in closing.items()}
    weights = [1.0]
    skip_until: dict[int, int] = {}  # closing parenthesis -> where its number's colon stands
    run: list[str] = []
    i = start
    while i <= end:
        if scanned.is_bare[i]:
            _add(segments, run, weights[-1])
            run = []
            if scanned.characters[i] == "(":
                number = numbers[i]
                weights.append(weights[-1] * BARE if number is None else number[1])
                if number is not None:
                    skip_until[number[0]] = closing[i]
            else:
                weights.pop()
        elif i in skip_until:
            i = skip_until[i]
            continue
        else:
            run.append(scanned.characters[i])
        i += 1


def _matches(scanned: _Scanned, start: int, end: int) -> dict[int, int]:
    opened: list[int] = []
    closing: dict[int, int] = {}
    for i in range(start, end + 1):
        if scanned.is_bare[i]:
            if scanned.characters[i] == "(":
                opened.append(i)
            else:
                closing[opened.pop()] = i
    return closing


def _number(scanned: _Scanned, start: int, end: int, problems: list[PromptProblem]) -> tuple[int, float] | None:
    """Where the colon of a group's weight stands, and the weight; None for a group without one.

    The last colon counts, it must not be the first character, and what follows is whatever Python reads as a number.
    Scanning back stops at a parenthesis, which no number contains, so all scans together are linear.
    """
    colon = end - 1
    while colon > start and scanned.characters[colon] != ":":
        if scanned.is_bare[colon]:
            return None
        colon -= 1
    if colon <= start + 1:
        return None
    try:
        weight = float("".join(scanned.characters[colon + 1 : end]))
    except ValueError:
        return None
    if not math.isfinite(weight):
        message = f"a weight of {weight} is not usable; the group is read as if it had none"
        problems.append(PromptProblem("weight_not_finite", message, scanned.origin[colon]))
        return None
    return colon, weight
