"""Runs jobs, one at a time: the door to the engine, and what lives longer than a job."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from time import time
from typing import Any

from execution.cache import Cache
from execution.context import Run
from execution.events import Ending, Failed
from execution.explain import Memory, Reasons
from execution.failure import exception_type, forget_frames, message_of, traceback_of
from execution.job import Job
from execution.job_run import JobRun
from execution.kind import Kinds, MissingCapability
from execution.node_run import Emit, Voice
from execution.problems import NodeProblem
from execution.prompt import Limits
from execution.registry import Listing
from execution.signature import Decisions, OnceOnly
from execution.spec import NodeSpec

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Instances:
    """Objects that nodes keep between runs, one per node id and class. An object lives while its node stays in
    consecutive prompts; one inside an expansion while the node it came from does."""

    _held: dict[tuple[str, str, str], object] = field(default_factory=dict[tuple[str, str, str], object])

    def of(self, real: str, id: str, spec: NodeSpec) -> object | None:
        if spec.new_instance is None:
            return None
        key = (real, id, spec.id)
        if key not in self._held:
            self._held[key] = spec.new_instance()
        return self._held[key]

    def keep_only(self, classes: Mapping[str, str]) -> None:
        """classes: node id → class of the prompt that is about to run."""
        for real, id, class_type in list(self._held):
            if real not in classes or (id == real and classes[real] != class_type):
                del self._held[real, id, class_type]

    def clear(self) -> None:
        self._held.clear()


class Executor:
    """Runs graphs of nodes and keeps what they made.

    nodes: class name → NodeSpec; looked up anew for every job. capabilities: what nodes may be given besides their
    `Run`, by type. around: makes a context manager that every job runs inside (inference mode, a device). listing,
    file_exists: as `validate` takes them, for the nodes of expansions. after_job: called when a job has ended, on the
    same thread; what they raise is logged. Raises MissingCapability for a node that wants what is not there.
    """

    def __init__(
        self,
        nodes: Mapping[str, NodeSpec],
        cache: Cache | None = None,
        capabilities: Mapping[type, object] | None = None,
        *,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        listing: Listing | None = None,
        file_exists: Callable[[str], bool] | None = None,
        after_job: Sequence[Callable[[], None]] = (),
        limits: Limits | None = None,
        clock: Callable[[], float] = time,
    ):
        self.nodes = nodes
        self.kinds = Kinds(nodes)
        self.cache = Cache() if cache is None else cache  # an empty one is false
        self.capabilities = capabilities or {}
        self.listing = listing
        self.file_exists = file_exists
        self.limits = limits or Limits()
        self.clock = clock
        self.memory = Memory()
        self.decisions = Decisions()
        self.instances = Instances()
        self.once = OnceOnly()
        self.next_job: Job | None = None
        """Which will probably run after the one that runs; set from another thread."""
        self._around = around
        self._after_job = after_job
        self._reasons = Reasons(self.cache)
        for spec in nodes.values():
            for parameter, wanted in spec.given.items():
                if wanted is not Run and wanted not in self.capabilities:
                    raise MissingCapability(spec.id, parameter, wanted)

    def run(self, job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        """Run a job to its end. Emits every event, the ending included, and raises nothing.

        emit: may be called from any thread. should_stop: asked often and from any thread, so it must be cheap.
        """
        voice = Voice(emit)
        try:
            with self._around():
                run = JobRun(self, job, voice, should_stop)
                self._reasons = run.reasons
                ending = run.to_the_end()
        except BaseException as error:
            # Only the engine itself or `around` can end up here; what nodes raise became an ending above.
            log.exception("job %s failed outside its nodes", job.id)
            problem = NodeProblem("", "", exception_type(error), message_of(error), traceback_of(error))
            ending = Failed(job.id, self.clock(), problem)
            forget_frames(error)
        voice.close(ending)
        for hook in self._after_job:
            try:
                hook()
            except Exception:
                log.exception("a hook after job %s failed", job.id)
        return ending

    def explain(self, id: str) -> str | None:
        """Why a node of the latest job ran: one sentence. None for one that did not run."""
        return self._reasons.of(id)

    def free(self) -> None:
        """Forget all results and instances. Between jobs only."""
        self.cache.clear()
        self.instances.clear()
        self._reasons = Reasons(self.cache)
