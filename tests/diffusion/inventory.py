"""Reads the tensor names and shapes of published files, kept in tests/data/inventories."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "data" / "inventories"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Every tensor of the file; a file that holds another under a prefix may replace single tensors of it."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    found: dict[str, tuple[int, ...]] = {}
    for part in document.get("include", ()):
        prefix = part.get("prefix", "")
        found |= {prefix + key: shape for key, shape in shapes(part["file"]).items()}
    return found | {key: tuple(shape) for key, shape in document.get("tensors", {}).items()}
