"""Text nodes against what Python's own functions say."""

import pytest

from tests.nodes.conftest import Call


@pytest.mark.parametrize(
    ("id", "sent", "expected"),
    [
        ("StringConcatenate", {"string_a": "a", "string_b": "b", "delimiter": ", "}, "a, b"),
        ("StringSubstring", {"string": "abcdef", "start": 1, "end": -1}, "bcde"),
        ("StringLength", {"string": "größer"}, 6),
        ("CaseConverter", {"string": "a Cat", "mode": "UPPERCASE"}, "A CAT"),
        ("CaseConverter", {"string": "a Cat", "mode": "lowercase"}, "a cat"),
        ("CaseConverter", {"string": "a Cat", "mode": "Capitalize"}, "A cat"),
        ("CaseConverter", {"string": "a cat", "mode": "Title Case"}, "A Cat"),
        ("StringTrim", {"string": "  x\n", "mode": "Both"}, "x"),
        ("StringTrim", {"string": "  x\n", "mode": "Left"}, "x\n"),
        ("StringTrim", {"string": "  x\n", "mode": "Right"}, "  x"),
        ("StringReplace", {"string": "a.a", "find": ".", "replace": "-"}, "a-a"),
        ("StringContains", {"string": "A cat", "substring": "CAT", "case_sensitive": True}, False),
        ("StringContains", {"string": "A cat", "substring": "CAT", "case_sensitive": False}, True),
        ("StringCompare", {"string_a": "Cat", "string_b": "ca", "mode": "Starts With", "case_sensitive": False}, True),
        ("StringCompare", {"string_a": "Cat", "string_b": "at", "mode": "Ends With", "case_sensitive": True}, True),
        ("StringCompare", {"string_a": "Cat", "string_b": "cat", "mode": "Equal", "case_sensitive": True}, False),
        ("RegexMatch", {"string": "x\nY1", "regex_pattern": r"^y\d", "multiline": True}, True),
        ("RegexMatch", {"string": "x\nY1", "regex_pattern": r"^y\d", "case_insensitive": False}, False),
        ("RegexMatch", {"string": "x\ny", "regex_pattern": "x.y", "dotall": True}, True),
        ("RegexReplace", {"string": "a1b2", "regex_pattern": r"(\d)", "replace": r"<\1>"}, "a<1>b<2>"),
        ("RegexReplace", {"string": "a1b2", "regex_pattern": r"\d", "replace": "", "count": 1}, "ab2"),
    ],
)
def test_text_nodes_do_what_their_names_say(call: Call, id: str, sent: dict[str, object], expected: object):
    result = call(id, **sent)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("mode", "group", "expected"),
    [
        ("First Match", 1, "w=12"),
        ("All Matches", 1, "w\nh"),
        ("First Group", 2, "12"),
        ("All Groups", 2, "12\n34"),
        ("All Groups", 0, "w=12\nh=34"),
        ("First Group", 3, ""),
    ],
)
def test_regex_extract_takes_matches_or_groups(call: Call, mode: str, group: int, expected: str):
    sent = {"string": "w=12 h=34", "regex_pattern": r"(\w)=(\d+)", "mode": mode, "group_index": group}
    assert call("RegexExtract", **sent) == expected


def test_regex_extract_of_all_matches_without_groups_gives_whole_matches(call: Call):
    sent = {"string": "a1 b22", "regex_pattern": r"\d+", "mode": "All Matches"}
    assert call("RegexExtract", **sent) == "1\n22"


def test_a_pattern_that_is_none_says_where_it_breaks(call: Call):
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression: .*position 0"):
        call("RegexMatch", string="x", regex_pattern="(")


def test_a_replacement_with_an_unknown_group_is_refused(call: Call):
    with pytest.raises(ValueError, match="does not fit"):
        call("RegexReplace", string="x", regex_pattern="x", replace=r"\2")


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("PrimitiveString", "a"),
        ("PrimitiveStringMultiline", "a\nb"),
        ("PrimitiveInt", 2**60),
        ("PrimitiveFloat", 0.5),
        ("PrimitiveBoolean", True),
    ],
)
def test_primitives_hand_their_value_on(call: Call, id: str, value: object):
    assert call(id, value=value) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (None, "None"),
        (1, "1"),
        (True, "True"),
        ([1, {"a": None}], '[1, {"a": null}]'),
        (
            {
                1,
            },
            "{1}",
        ),
    ],
)
def test_preview_any_shows_a_value_as_text(call: Call, value: object, text: str):
    assert call("PreviewAny", source=value) == {"text": (text,)}
