"""Hidden inputs: what a class asks of its job, under names it chose itself. One place for both styles of nodes."""

from collections.abc import Mapping, Sequence
from typing import Any

from execution.context import Run, RunningGraph


class NodeNotFound(KeyError):
    """Nobody in the running graph has this id."""


class DynamicPrompt:
    """The graph of a running job, under the names packs call it by."""

    def __init__(self, graph: RunningGraph):
        self._graph = graph

    def get_node(self, node_id: str) -> Mapping[str, Any]:
        """The node in API form. Raises NodeNotFound."""
        try:
            return self._graph.node(node_id)
        except KeyError:
            raise NodeNotFound(f"node {node_id} is not in the graph") from None

    def has_node(self, node_id: str) -> bool:
        return node_id in self._graph.ids()

    def get_real_node_id(self, node_id: str) -> str:
        """The node of the submitted graph that this one comes from; itself for one of those."""
        return self._graph.ref(node_id).real

    def get_parent_node_id(self, node_id: str) -> str | None:
        """The node that expanded into this one."""
        return self._graph.ref(node_id).parent

    def get_display_node_id(self, node_id: str) -> str:
        """The node that is highlighted while this one runs."""
        return self._graph.ref(node_id).display

    def all_node_ids(self) -> set[str]:
        return set(self._graph.ids())

    def get_original_prompt(self) -> Mapping[str, Any]:
        return self._graph.submitted


# hidden kind → the key of `extra_data` it is taken from
FROM_REQUEST = {
    "EXTRA_PNGINFO": "extra_pnginfo",
    "AUTH_TOKEN_COMFY_ORG": "auth_token_comfy_org",
    "API_KEY_COMFY_ORG": "api_key_comfy_org",
    "COMFY_USAGE_SOURCE": "comfy_usage_source",
}
BY_ID: Sequence[str] = ("UNIQUE_ID", "DYNPROMPT")
"""Kinds that show a node its own id: what it makes belongs to that id alone."""


def hidden_values(wanted: Mapping[str, Any], run: Run, *, running: bool) -> dict[str, Any]:
    """Argument name → value, for the kinds we know; what else a class lists as hidden is passed only when a client
    sends it. wanted: argument name → kind, as declared. running: False for validators and fingerprints, which see
    their node's id, an empty prompt, and nothing else."""
    values: dict[str, Any] = {}
    for name, kind in wanted.items():
        match str(getattr(kind, "value", kind)):
            case "UNIQUE_ID":
                values[name] = run.node.id
            case "PROMPT":
                values[name] = run.prompt if running else {}
            case "DYNPROMPT":
                values[name] = DynamicPrompt(run.graph) if running else None
            case known if known in FROM_REQUEST:
                values[name] = run.extra.get(FROM_REQUEST[known]) if running else None
            case _:
                pass
    return values
