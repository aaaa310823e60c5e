"""Which call of a node is running."""

from contextlib import contextmanager
from typing import NamedTuple

from compat.world import running


class ExecutionContext(NamedTuple):
    prompt_id: str
    node_id: str
    list_index: int | None


def get_executing_context():
    """Of this thread or task; None outside of nodes."""
    run = running()
    return None if run is None else ExecutionContext(run.prompt_id, run.node.id, run.list_index)


@contextmanager
def CurrentNodeContext(prompt_id, node_id, list_index=None):
    """Nodes are announced by the executor; nothing is left to do."""
    yield
