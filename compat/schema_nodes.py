"""One class of the newer style (V3, with a schema) as one `NodeSpec`."""

from collections.abc import Callable
from typing import Any

from execution.spec import NodeSpec


def is_schema_class(kind: Any) -> bool:
    """Whether a class declares itself by a schema."""
    return isinstance(kind, type) and hasattr(kind, "define_schema") and hasattr(kind, "GET_SCHEMA")


def specs_of(entry: Callable[[], Any], source: str) -> list[NodeSpec]:
    """The nodes of a pack's `comfy_entrypoint`. source: where it comes from, `custom_nodes.<pack>`."""
    raise NotImplementedError("nodes with a schema are not read yet")


def spec_of(kind: Any, source: str, *, id: str | None = None, title: str | None = None) -> NodeSpec:
    """id: where a pack lists the class itself under a name; else the schema's own. Raises what the class raises."""
    raise NotImplementedError("nodes with a schema are not read yet")
