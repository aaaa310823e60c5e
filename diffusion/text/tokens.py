"""Prompts as CLIP reads them: chunks of 77 weighted tokens, each begun, ended and padded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.text.embeddings import EmbeddingNamed, Embeddings, NoEmbeddings, split_embeddings
from diffusion.text.grammar import parse_weights
from diffusion.text.problems import PromptProblem
from diffusion.text.tokenise import END_ID, START_ID, clip_ids

CHUNK = 77
ROOM = CHUNK - 2
WHOLE = 8
"""Groups of fewer tokens than this are kept in one chunk."""


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    value: int | Tensor
    """An id, or a textual inversion's vector, (D,)."""
    weight: float = 1.0


Chunk = tuple[Token, ...]
Group = Sequence[Token]
"""Tokens of one stretch of text; kept together where they fit."""


@dataclass(frozen=True)
class Tokens:
    """One prompt for each text encoder of a model."""

    chunks: Mapping[str, tuple[Chunk, ...]]
    """By encoder; at least one each, all CHUNK long."""
    problems: tuple[PromptProblem, ...] = ()


def tokenise(
    text: str | Mapping[str, str],
    encoders: Sequence[TextEncoderSpec],
    embeddings: Embeddings | None = None,
    widths: Mapping[str, int] | None = None,
) -> Tokens:
    """Weights, embeddings and words of a prompt as chunks for each encoder.

    text: one prompt, or one for each encoder by name. With several prompts, all get as many chunks as the longest.
    widths: embedding width of each encoder where it differs from its usual one.
    """
    chunks: dict[str, list[Chunk]] = {}
    problems: dict[PromptProblem, None] = {}
    for spec in encoders:
        prompt = text if isinstance(text, str) else text.get(spec.name, "")
        width = (widths or {}).get(spec.name, spec.width)
        groups, found = _groups(prompt, spec, embeddings or NoEmbeddings(), width)
        problems.update(dict.fromkeys(found))
        chunks[spec.name] = fill_chunks(groups, spec.pad_token)
    longest = max((len(found) for found in chunks.values()), default=0)
    for spec in encoders:
        missing = longest - len(chunks[spec.name])
        chunks[spec.name] += [empty_chunk(spec.pad_token)] * missing
    return Tokens({name: tuple(found) for name, found in chunks.items()}, tuple(problems))


def _groups(
    prompt: str, spec: TextEncoderSpec, embeddings: Embeddings, width: int
) -> tuple[list[Group], list[PromptProblem]]:
    parsed = parse_weights(prompt)
    groups: list[Group] = []
    problems = list(parsed.problems)
    for segment in parsed.segments:
        for piece in split_embeddings(segment.text, embeddings.has):
            if isinstance(piece, EmbeddingNamed):
                found = embeddings.find(piece.name, spec.name, width)
                if isinstance(found, PromptProblem):
                    problems.append(found)
                else:
                    groups.append([Token(vector, segment.weight) for vector in found])
            else:
                groups.append([Token(number, segment.weight) for number in clip_ids(piece)])
    return groups, problems


def fill_chunks(groups: Sequence[Group], pad_token: int) -> list[Chunk]:
    """Lay groups into chunks: one that does not fit goes to the next chunk whole if it is short, and is cut if long."""
    chunks: list[list[Token]] = [[]]
    for group in groups:
        rest = list(group)
        while len(chunks[-1]) + len(rest) > ROOM:
            if len(group) >= WHOLE:
                room = ROOM - len(chunks[-1])
                chunks[-1] += rest[:room]
                rest = rest[room:]
            chunks.append([])
        chunks[-1] += rest
    return [_framed(chunk, pad_token) for chunk in chunks]


def empty_chunk(pad_token: int) -> Chunk:
    """The empty prompt."""
    return _framed([], pad_token)


def _framed(tokens: list[Token], pad_token: int) -> Chunk:
    padding = [Token(pad_token)] * (ROOM - len(tokens))
    return (Token(START_ID), *tokens, Token(END_ID), *padding)
