"""What is kept of a job once it has ended: its events, folded. Pure.

The form is that of a history entry on the wire, because clients read it from there: status messages, UI by node, and
where each of those nodes stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execution.events import (
    Cached,
    Crashed,
    Ending,
    Event,
    Failed,
    Interrupted,
    NodeFinished,
    NodeRef,
    NodeStarted,
    Started,
    Succeeded,
)


@dataclass(frozen=True, slots=True)
class Record:
    """state: the job's one final state. outputs: node id → UI. status: `status_str`, `completed`, `messages` (and
    `notes`, when the job has some). meta: node id → its place in the submitted graph. reason: why it did not succeed,
    in a line; None when it did, or was ended by its user."""

    state: str
    outputs: Mapping[str, Any]
    status: Mapping[str, Any]
    meta: Mapping[str, Any]
    reason: str | None = None


LONGEST_REASON = 500  # characters


def reason_of(ending: Ending) -> str | None:
    match ending:
        case Failed(_, _, problem):
            text = " ".join(problem.message.split())
            where = f" (node {problem.node_id}, {problem.node_type})" if problem.node_id else ""
            return f"{problem.exception_type}: {text[:LONGEST_REASON]}{where}"
        case Crashed():
            return ending.cause[:LONGEST_REASON]
        case Succeeded() | Interrupted():
            return None


def milliseconds(at: float) -> int:
    return round(at * 1000)


def final_state(ending: Ending) -> str:
    match ending:
        case Succeeded():
            return "succeeded"
        case Failed():
            return "failed"
        case Interrupted():
            return "interrupted"
        case Crashed():
            return "crashed"


def status_message(event: Event, graph: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """An event as the pair of type and data that history and socket show for it; None for one that history omits."""
    match event:
        case Started(prompt_id, at):
            return "execution_start", {"prompt_id": prompt_id, "timestamp": milliseconds(at)}
        case Cached(prompt_id, nodes, at):
            return "execution_cached", {"nodes": list(nodes), "prompt_id": prompt_id, "timestamp": milliseconds(at)}
        case Succeeded(prompt_id, at):
            return "execution_success", {"prompt_id": prompt_id, "timestamp": milliseconds(at)}
        case Interrupted(prompt_id, at, node, node_type, executed):
            return "execution_interrupted", {
                "prompt_id": prompt_id,
                "node_id": node.real if node else None,
                "node_type": node_type,
                "executed": list(executed),
                "timestamp": milliseconds(at),
            }
        case Failed(prompt_id, at, problem):
            return "execution_error", {
                "prompt_id": prompt_id,
                "node_id": problem.node_id,
                "node_type": problem.node_type,
                "executed": list(problem.executed),
                "exception_message": problem.message.rstrip("\n") + "\n",  # clients expect a whole line
                "exception_type": problem.exception_type,
                "traceback": list(problem.traceback),
                "current_inputs": {name: list(values) for name, values in problem.inputs.items()},
                "current_outputs": list(graph),
                "timestamp": milliseconds(at),
            }
        case Crashed(prompt_id, at, cause, _, _, node, node_type, executed):
            return "execution_error", {
                "prompt_id": prompt_id,
                "node_id": node.real if node else None,
                "node_type": node_type,
                "executed": list(executed),
                "exception_message": f"{cause}\n",
                "exception_type": "WorkerCrashed",
                "traceback": [],
                "current_inputs": {},
                "current_outputs": list(graph),
                "timestamp": milliseconds(at),
            }
        case _:
            return None


@dataclass(slots=True)
class Recorder:
    """Takes the events of one job as they come. A second Started voids what came before it.

    running, finished: the nodes at work now and those that were run to their end, for whoever joins late or has to
    say where a job stopped.
    """

    graph: Mapping[str, Any]
    running: dict[str, NodeRef] = field(default_factory=dict[str, NodeRef])
    finished: dict[str, NodeRef] = field(default_factory=dict[str, NodeRef])
    _messages: list[list[Any]] = field(default_factory=list[list[Any]])
    _outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    _meta: dict[str, Any] = field(default_factory=dict[str, Any])

    def take(self, event: Event) -> None:
        match event:
            case Started():
                for each in (self._messages, self._outputs, self._meta, self.running, self.finished):
                    each.clear()
            case NodeStarted(_, node):
                self.running.pop(node.id, None)  # so that the latest is the last
                self.running[node.id] = node
            case NodeFinished(_, node, ui, reused):
                self.running.pop(node.id, None)
                if not reused:
                    self.finished[node.id] = node
                if ui is not None:
                    self._outputs[node.id] = dict(ui)
                    self._meta[node.id] = {
                        "node_id": node.id,
                        "display_node": node.display,
                        "parent_node": node.parent,
                        "real_node_id": node.real,
                    }
            case _:
                pass
        if message := status_message(event, self.graph):
            self._messages.append(list(message))

    @property
    def at_work(self) -> NodeRef | None:
        """The node that was begun last and has not finished."""
        return next(reversed(self.running.values()), None)

    @property
    def node_type(self) -> str:
        """The class of `at_work`, or of its ancestor in the submitted graph."""
        node = self.graph.get(self.at_work.real) if self.at_work else None
        return str(node["class_type"]) if node else ""

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What nodes have shown so far, node id → UI."""
        return dict(self._outputs)

    @property
    def executed(self) -> Sequence[str]:
        return tuple(self.finished)

    def record(self, ending: Ending) -> Record:
        """The whole, once the ending has been taken too."""
        completed = isinstance(ending, Succeeded)
        status: dict[str, Any] = {
            "status_str": "success" if completed else "error",
            "completed": completed,
            "messages": [list(message) for message in self._messages],
        }
        if isinstance(ending, Succeeded) and ending.notes:
            status["notes"] = list(ending.notes)
        return Record(final_state(ending), self.outputs, status, dict(self._meta), reason_of(ending))
