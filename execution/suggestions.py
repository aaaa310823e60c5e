"""Did you mean …? The names nearest to a wrong one."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

_LONGEST_NAME = 200
_MOST_CANDIDATES = 5_000


def nearest(wrong: object, known: Iterable[object], count: int = 3) -> list[str]:
    """Up to `count` known texts that look like `wrong`, nearest first. Case does not count."""
    if not isinstance(wrong, str) or not 0 < len(wrong) <= _LONGEST_NAME:
        return []
    candidates = {
        text.lower(): text for text in islice(known, _MOST_CANDIDATES) if isinstance(text, str) and len(text) < 500
    }
    return [candidates[match] for match in get_close_matches(wrong.lower(), candidates, count, cutoff=0.6)]
