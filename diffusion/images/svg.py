"""Words inside SVG files."""

import json
import re
from collections.abc import Mapping

OPENING_TAG = re.compile(rb"<svg\b(?:\"[^\"]*\"|'[^']*'|[^>\"'])*>", re.DOTALL)


def with_metadata(drawing: bytes, texts: Mapping[str, str]) -> bytes:
    """drawing with a `<metadata>` element after its opening tag, which holds one JSON object of keyword → value.

    texts: keyword → JSON text. Raises ValueError for what has no `<svg …>` tag.
    """
    if not texts:
        return drawing
    found = OPENING_TAG.search(drawing)
    if found is None or found[0].endswith(b"/>"):
        raise ValueError(f"expected an SVG drawing with content, got {drawing[:60]!r}")
    content = json.dumps({keyword: json.loads(text) for keyword, text in texts.items()}, indent=4)
    # "]]>" ends the section; JSON may write its ">" as an escape.
    section = f"\n<metadata><![CDATA[\n{content.replace(']]>', ']]' + chr(92) + 'u003e')}\n]]></metadata>"
    return drawing[: found.end()] + section.encode() + drawing[found.end() :]
