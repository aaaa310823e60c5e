"""Working with text: menu `utils/string`."""

import re
from typing import Annotated

from nodes.declare import node
from nodes.markers import OPTIONAL, Choice, Number, Out, Text

LongText = Annotated[str, Text(multiline=True)]


def compiled(pattern: str, case_insensitive: bool, multiline: bool, dotall: bool) -> re.Pattern[str]:
    """Raises ValueError with what is wrong with the pattern and where."""
    flags = (
        (re.IGNORECASE if case_insensitive else 0) | (re.MULTILINE if multiline else 0) | (re.DOTALL if dotall else 0)
    )
    try:
        return re.compile(pattern, flags)
    except re.error as cause:
        raise ValueError(f"{pattern!r} is not a regular expression: {cause}") from cause


@node("StringConcatenate", category="utils/string", title="Concatenate", modern=True)
def string_concatenate(
    *, string_a: LongText, string_b: LongText, delimiter: Annotated[str, Text(multiline=False)] = ""
) -> str:
    """Join two texts."""
    return delimiter.join((string_a, string_b))


@node("StringSubstring", category="utils/string", title="Substring", modern=True)
def string_substring(*, string: LongText, start: int, end: int) -> str:
    """Cut out the characters from start up to, not including, end; negative positions count from the end."""
    return string[start:end]


@node("StringLength", category="utils/string", title="Length", modern=True)
def string_length(*, string: LongText) -> Annotated[int, Out("length")]:
    """Count the characters."""
    return len(string)


@node("CaseConverter", category="utils/string", title="Case Converter", modern=True)
def case_converter(
    *, string: LongText, mode: Annotated[str, Choice(["UPPERCASE", "lowercase", "Capitalize", "Title Case"])]
) -> str:
    """Change upper and lower case."""
    match mode:
        case "UPPERCASE":
            return string.upper()
        case "lowercase":
            return string.lower()
        case "Capitalize":
            return string.capitalize()
        case _:
            return string.title()


@node("StringTrim", category="utils/string", title="Trim", modern=True)
def string_trim(*, string: LongText, mode: Annotated[str, Choice(["Both", "Left", "Right"])]) -> str:
    """Remove white space at the ends."""
    match mode:
        case "Left":
            return string.lstrip()
        case "Right":
            return string.rstrip()
        case _:
            return string.strip()


@node("StringReplace", category="utils/string", title="Replace", modern=True)
def string_replace(*, string: LongText, find: LongText, replace: LongText) -> str:
    """Replace every occurrence of a text."""
    return string.replace(find, replace)


@node("StringContains", category="utils/string", title="Contains", modern=True)
def string_contains(
    *, string: LongText, substring: LongText, case_sensitive: bool = True
) -> Annotated[bool, Out("contains")]:
    """Say whether a text occurs in another."""
    return substring in string if case_sensitive else substring.lower() in string.lower()


@node("StringCompare", category="utils/string", title="Compare", modern=True)
def string_compare(
    *,
    string_a: LongText,
    string_b: LongText,
    mode: Annotated[str, Choice(["Starts With", "Ends With", "Equal"])],
    case_sensitive: bool = True,
) -> bool:
    """Say whether the first text starts with, ends with or equals the second."""
    a, b = (string_a, string_b) if case_sensitive else (string_a.lower(), string_b.lower())
    match mode:
        case "Starts With":
            return a.startswith(b)
        case "Ends With":
            return a.endswith(b)
        case _:
            return a == b


@node("RegexMatch", category="utils/string", title="Regex Match", modern=True)
def regex_match(
    *,
    string: LongText,
    regex_pattern: LongText,
    case_insensitive: bool = True,
    multiline: bool = False,
    dotall: bool = False,
) -> Annotated[bool, Out("matches")]:
    """Say whether a regular expression matches anywhere in the text."""
    return compiled(regex_pattern, case_insensitive, multiline, dotall).search(string) is not None


@node("RegexExtract", category="utils/string", title="Regex Extract", modern=True)
def regex_extract(
    *,
    string: LongText,
    regex_pattern: LongText,
    mode: Annotated[str, Choice(["First Match", "All Matches", "First Group", "All Groups"])],
    case_insensitive: bool = True,
    multiline: bool = False,
    dotall: bool = False,
    group_index: Annotated[int, Number(0, 100)] = 1,
) -> str:
    """Take out what a regular expression matches, one result per line; nothing found is an empty text.

    mode: All Matches gives the first group of each match where the expression has groups.
    group_index: which group the group modes take; 0 is the whole match.
    """
    pattern = compiled(regex_pattern, case_insensitive, multiline, dotall)
    if group_index > pattern.groups and mode.endswith(("Group", "Groups")):
        return ""
    matches = list(pattern.finditer(string))
    match mode:
        case "First Match":
            found = [match[0] for match in matches[:1]]
        case "All Matches":
            found = [match[min(1, pattern.groups)] for match in matches]
        case "First Group":
            found = [match[group_index] for match in matches[:1]]
        case _:
            found = [match[group_index] for match in matches]
    return "\n".join(text or "" for text in found)


@node("RegexReplace", category="utils/string", title="Regex Replace", modern=True)
def regex_replace(
    *,
    string: LongText,
    regex_pattern: LongText,
    replace: LongText,
    case_insensitive: Annotated[bool, OPTIONAL] = True,
    multiline: Annotated[bool, OPTIONAL] = False,
    dotall: Annotated[bool, OPTIONAL] = False,
    count: Annotated[int, Number(0, 100), OPTIONAL] = 0,
) -> str:
    r"""Replace what a regular expression matches; \1 stands for the first group.

    count: how many to replace; 0 is all.
    """
    pattern = compiled(regex_pattern, case_insensitive, multiline, dotall)
    try:
        return pattern.sub(replace, string, count=count)
    except (re.error, IndexError) as cause:
        raise ValueError(f"{replace!r} does not fit {regex_pattern!r}: {cause}") from cause
