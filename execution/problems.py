"""What can be wrong, as data with the codes of the wire. Sentences are for people; codes and fields for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint. type: a code clients know ("value_not_in_list"). extra: fields that belong to the code."""

    type: str
    message: str
    details: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class NodeErrors:
    """What is wrong with one node of a prompt, and which outputs it keeps from running."""

    class_type: str
    errors: Sequence[Problem]
    dependent_outputs: Sequence[str]


class PromptRejected(ValueError):
    """A prompt that will not be queued. problem: the reason as a whole; node_errors: the reasons node by node."""

    def __init__(self, problem: Problem, node_errors: Mapping[str, NodeErrors] | None = None):
        super().__init__(f"{problem.message.rstrip('.')}: {problem.details}" if problem.details else problem.message)
        self.problem = problem
        self.node_errors = dict(node_errors or {})


@dataclass(frozen=True, slots=True)
class NodeProblem:
    """Why a running node ended its job.

    node_id, node_type: a node of the submitted graph. exception_type: bare for builtins, else module and name.
    traceback: formatted lines, at most 64 KiB together. inputs: input name → what it held, as short texts or scalars.
    executed: ids finished in this run.
    """

    node_id: str
    node_type: str
    exception_type: str
    message: str
    traceback: Sequence[str] = ()
    inputs: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
    executed: Sequence[str] = ()
