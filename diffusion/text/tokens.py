"""Prompts as text encoders read them: weighted tokens, begun, ended and padded.

CLIP reads chunks of 77; the others read one chunk of whatever length.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.families.text_encoders import Padding, TextEncoderSpec
from diffusion.text.embeddings import EmbeddingNamed, Embeddings, NoEmbeddings, split_embeddings
from diffusion.text.grammar import parse_weights
from diffusion.text.problems import PromptProblem
from diffusion.text.tokenise import END_ID, START_ID, clip_ids
from diffusion.text.tokenizers import TextTokenizer

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
    """By encoder, of those that were asked; at least one each."""
    problems: tuple[PromptProblem, ...] = ()


def tokenise(
    text: str | Mapping[str, str],
    encoders: Sequence[TextEncoderSpec],
    embeddings: Embeddings | None = None,
    widths: Mapping[str, int] | None = None,
    tokenizers: Mapping[str, TextTokenizer] | None = None,
    padding: Padding | None = None,
) -> Tokens:
    """Weights, embeddings and words of a prompt as chunks for each encoder.

    text: one prompt, or one for each encoder by name, in which an encoder that is not named is not asked. With several
    prompts, all CLIPs get as many chunks as the longest. widths: embedding width of each encoder where it differs from
    its usual one. tokenizers: by encoder, of those other than CLIP. padding: None is the family's.
    """
    chunks: dict[str, list[Chunk]] = {}
    problems: dict[PromptProblem, None] = {}
    for spec in encoders:
        if not isinstance(text, str) and spec.name not in text:
            continue
        prompt = text if isinstance(text, str) else text[spec.name]
        width = (widths or {}).get(spec.name, spec.width)
        if spec.kind == "clip":
            groups, found = _groups(prompt, spec, embeddings or NoEmbeddings(), width, clip_ids)
            chunks[spec.name] = fill_chunks(groups, spec.pad_token)
        elif spec.kind == "t5":
            ids = (tokenizers or {})[spec.name].ids
            groups, found = _groups(prompt, spec, embeddings or NoEmbeddings(), width, ids)
            chunks[spec.name] = [_one_chunk(groups, spec, padding or Padding(least_tokens=spec.least_tokens))]
        else:
            ids, found = (tokenizers or {})[spec.name].ids, []
            words = [Token(number) for number in ids(spec.template.format(prompt))]
            chunks[spec.name] = [_one_chunk([words], spec, Padding(least_tokens=spec.least_tokens))]
        problems.update(dict.fromkeys(found))
    clips = [spec for spec in encoders if spec.kind == "clip" and spec.name in chunks]
    longest = max((len(chunks[spec.name]) for spec in clips), default=0)
    for spec in clips:
        missing = longest - len(chunks[spec.name])
        chunks[spec.name] += [empty_chunk(spec.pad_token)] * missing
    return Tokens({name: tuple(found) for name, found in chunks.items()}, tuple(problems))


def _one_chunk(groups: Sequence[Group], spec: TextEncoderSpec, padding: Padding) -> Chunk:
    start = [] if spec.start_token is None else [Token(spec.start_token)]
    end = [] if spec.end_token is None else [Token(spec.end_token)]
    tokens = [*start, *(token for group in groups for token in group), *end]
    missing = max(padding.least_padding, padding.least_tokens - len(tokens))
    return (*tokens, *[Token(spec.pad_token)] * missing)


def empty_like(chunk: Chunk, spec: TextEncoderSpec) -> Chunk:
    """The empty prompt, as long as this chunk."""
    if spec.kind == "clip":
        return empty_chunk(spec.pad_token)
    if not spec.empty_ends:
        return (Token(spec.pad_token),) * len(chunk)
    return _one_chunk([], spec, Padding(least_tokens=len(chunk)))


def ids_of(chunks: Sequence[Chunk]) -> Tensor:
    """(N, T) int64; 0 where a vector stands."""
    return torch.tensor([[t.value if isinstance(t.value, int) else 0 for t in chunk] for chunk in chunks])


def put_vectors(embedded: Tensor, chunks: Sequence[Chunk]) -> Tensor:
    """The embeddings of chunks, (N, T, D), in which vectors of textual inversion have taken their places."""
    for row, chunk in enumerate(chunks):
        for place, token in enumerate(chunk):
            if isinstance(token.value, Tensor):
                embedded[row, place] = token.value.to(embedded)
    return embedded


def _groups(
    prompt: str, spec: TextEncoderSpec, embeddings: Embeddings, width: int, ids: Callable[[str], list[int]]
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
                groups.append([Token(number, segment.weight) for number in ids(piece)])
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
