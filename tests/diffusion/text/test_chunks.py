"""Prompts are laid into chunks of 77 tokens."""

import pytest
import torch
from torch import Tensor

from diffusion.families.sdxl import SDXL
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.text.problems import PromptProblem
from diffusion.text.tokens import Chunk, Token, fill_chunks, tokenise

L = TextEncoderSpec("clip_l", (), width=768)
G = TextEncoderSpec("clip_g", (), width=1280, pad_token=0)
CAT = 2368


def lengths(groups: list[int]) -> list[int]:
    """Tokens of ours in each chunk, for groups of these sizes."""
    chunks = fill_chunks([[Token(CAT)] * size for size in groups], pad_token=0)
    assert all(len(chunk) == 77 for chunk in chunks)
    return [values(chunk).count(CAT) for chunk in chunks]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], [0]),
        ([0], [0]),
        ([75], [75]),
        ([76], [75, 1]),
        ([80], [75, 5]),
        ([150], [75, 75]),
        ([151], [75, 75, 1]),
        ([70, 7], [70, 7]),
        ([70, 8], [75, 3]),
        ([70, 5], [75]),
        ([75, 1], [75, 1]),
        ([75, 8], [75, 8]),
        ([74, 3, 3], [74, 6]),
        ([200, 7], [75, 75, 57]),
    ],
)
def test_a_group_of_eight_or_more_is_cut_and_a_smaller_one_moves_whole(groups: list[int], expected: list[int]):
    assert lengths(groups) == expected


def values(chunk: Chunk) -> list[int]:
    return [token.value for token in chunk if isinstance(token.value, int)]


def test_chunks_are_begun_ended_and_padded_as_each_encoder_was_trained():
    for spec, pad in ((L, 49407), (G, 0)):
        (chunk,) = tokenise("a cat", [spec]).chunks[spec.name]
        assert values(chunk) == [49406, 320, CAT, 49407] + [pad] * 73
        assert {token.weight for token in chunk} == {1.0}


def test_eighty_words_make_two_chunks():
    assert [len(found) for found in tokenise("cat " * 80, SDXL.text_encoders).chunks.values()] == [2, 2]


def test_weights_reach_their_tokens_and_no_padding():
    (chunk,) = tokenise("a (cat:1.5)", [L]).chunks["clip_l"]
    assert [(token.value, token.weight) for token in chunk[:4]] == [(49406, 1), (320, 1), (CAT, 1.5), (49407, 1)]


def test_of_prompts_of_different_length_the_shorter_gets_empty_chunks():
    tokens = tokenise({"clip_l": "cat " * 100, "clip_g": "a cat"}, [L, G])
    assert len(tokens.chunks["clip_g"]) == 2
    assert values(tokens.chunks["clip_g"][1]) == [49406, 49407] + [0] * 75


class Ink:
    """Two embeddings: `ink` of two vectors and one whose name ends in a comma."""

    def has(self, name: str) -> bool:
        return name in ("ink", "odd,")

    def find(self, name: str, encoder: str, width: int) -> Tensor | PromptProblem:
        return torch.ones(2, width) if self.has(name) else PromptProblem("embedding_missing", name)


def pieces(text: str) -> list[object]:
    """Ids as they are, vectors as "v"."""
    (chunk,) = tokenise(text, [L], Ink()).chunks["clip_l"]
    found = ["v" if isinstance(token.value, Tensor) else token.value for token in chunk]
    return [piece for piece in found if piece not in (49406, 49407)]


COMMA = 267


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedding:ink", ["v", "v"]),
        ("a embedding:ink cat", [320, "v", "v", CAT]),
        ("a embedding:ink, cat", [320, "v", "v", COMMA, CAT]),
        ("embedding:odd, cat", ["v", "v", CAT]),
        ("a\nembedding:ink", [320, "v", "v"]),
        ("(embedding:ink:1.3)", ["v", "v"]),
        ("embedding:lost cat", [CAT]),
        ("embedding:lost, cat", [COMMA, CAT]),
    ],
)
def test_embeddings_stand_where_they_are_named(text: str, expected: list[object]):
    assert pieces(text) == expected


@pytest.mark.parametrize("text", ["a,embedding:ink", "xembedding:ink", "embedding: ink", "a\tembedding:ink"])
def test_embeddings_are_not_seen_inside_words_or_after_a_comma(text: str):
    assert "v" not in pieces(text)


def test_the_weight_of_a_group_is_that_of_all_vectors():
    (chunk,) = tokenise("(embedding:ink:1.3) cat", [L], Ink()).chunks["clip_l"]
    assert [token.weight for token in chunk[:4]] == [1, 1.3, 1.3, 1]


def test_a_missing_embedding_is_reported_once_for_each_encoder_at_most():
    problems = tokenise("embedding:lost", [L, G], Ink()).problems
    assert [problem.kind for problem in problems] == ["embedding_missing"]
