"""How parentheses in a prompt become weights, case by case."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion.text.grammar import parse_weights


def weights(text: str) -> list[tuple[str, float]]:
    return [(segment.text, round(segment.weight, 6)) for segment in parse_weights(text).segments]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a cat", [("a cat", 1)]),
        ("(a)", [("a", 1.1)]),
        ("((a))", [("a", 1.21)]),
        ("(((a)))", [("a", 1.331)]),
        ("(a:1.2)", [("a", 1.2)]),
        ("(a: 1.2 )", [("a", 1.2)]),
        ("((a:1.2))", [("a", 1.2)]),
        ("((a:1.2) b)", [("a", 1.2), (" b", 1.1)]),
        ("(a (b:1.5) c:1.2)", [("a ", 1.2), ("b", 1.5), (" c", 1.2)]),
        ("(a (b) c:1.2)", [("a ", 1.2), ("b", 1.32), (" c", 1.2)]),
        ("(a:1.2:1.5)", [("a:1.2", 1.5)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(a:)", [("a:", 1.1)]),
        ("(a:1,2)", [("a:1,2", 1.1)]),
        ("(:1.2)", [(":1.2", 1.1)]),
        ("()", []),
        ("(())", []),
        ("(a:-1)", [("a", -1)]),
        ("(a:1e1)", [("a", 10)]),
        ("(a:0)", [("a", 0)]),
        (r"\(a\)", [("(a)", 1)]),
        (r"(a\):1.5)", [("a)", 1.5)]),
        (r"(\(a\):1.5)", [("(a)", 1.5)]),
        (r"\\(a)", [("\\(a)", 1)]),
        ("a\\", [("a\\", 1)]),
        ("[a] {b} BREAK c AND d # e", [("[a] {b} BREAK c AND d # e", 1)]),
        ("<lora:x:1>", [("<lora:x:1>", 1)]),
        ("(a:1.2", [("(a:1.2", 1)]),
        ("a ( b (c:2) d", [("a ", 1), ("( b (c:2) d", 1)]),
        ("(x:2) ( b", [("x", 2), (" ", 1), ("( b", 1)]),
        ("a) b (c:2)", [("a) b (c:2)", 1)]),
        ("(a:2)) (b:3)", [("a", 2), (") (b:3)", 1)]),
        ("a, (b:1.3), c", [("a, ", 1), ("b", 1.3), (", c", 1)]),
        ("((a) (b):2)", [("a", 2.2), (" ", 2), ("b", 2.2)]),
        ("(a (b:1.5))", [("a ", 1.1), ("b", 1.5)]),
    ],
)
def test_weights(text: str, expected: list[tuple[str, float]]):
    assert weights(text) == expected


@pytest.mark.parametrize("number", ["nan", "inf", "-Infinity"])
def test_a_weight_that_is_not_finite_is_text_and_is_reported(number: str):
    assert weights(f"(a:{number})") == [(f"a:{number}", 1.1)]
    assert [problem.kind for problem in parse_weights(f"(a:{number})").problems] == ["weight_not_finite"]


@pytest.mark.parametrize(
    ("text", "kind", "position"),
    [
        ("a (b", "unclosed_parenthesis", 2),
        (r"\( (b (c)", "unclosed_parenthesis", 3),
        ("a) b", "stray_parenthesis", 1),
        (r"\) x)", "stray_parenthesis", 4),
        ("cat <lora:style:0.8>", "lora_in_text", 4),
    ],
)
def test_mistakes_are_reported_where_they_were_typed(text: str, kind: str, position: int):
    assert [(problem.kind, problem.position) for problem in parse_weights(text).problems] == [(kind, position)]


def test_a_good_prompt_has_no_problems():
    assert parse_weights(r"a (b:1.2), ((c)), \(d\), e:1.5").problems == ()


@given(st.text(alphabet="ab():.12\\ ", max_size=60))
def test_no_character_of_a_balanced_prompt_without_numbers_is_lost(text: str):
    """Without colons, the segments are the text less its bare parentheses, or with the literal ones kept."""
    parsed = parse_weights(text.replace(":", "").replace("\\", ""))
    kept = "".join(segment.text for segment in parsed.segments)
    assert kept.replace("(", "").replace(")", "") == text.replace(":", "").replace("\\", "").replace("(", "").replace(
        ")", ""
    )


@pytest.mark.parametrize("piece", ["({}:1.1)", "({})", "({}", "{})", "(:({}))"])
def test_deep_nesting_takes_time_in_proportion_to_its_length(piece: str):
    def seconds(depth: int) -> float:
        start, end = piece.split("{}")
        text = start * depth + "a" + end * depth
        began = time.perf_counter()
        parse_weights(text)
        return time.perf_counter() - began

    seconds(1000)
    small, large = min(seconds(5_000) for _ in range(3)), min(seconds(50_000) for _ in range(3))
    assert large < 40 * small + 0.05
