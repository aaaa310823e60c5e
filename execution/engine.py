"""What a worker carries, built around an executor: the graph side of `workers.engine.Engine`."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any

from execution.events import Ending
from execution.executor import Executor
from execution.failure import exception_type, message_of, traceback_of
from execution.hooks import judge
from execution.job import Job
from execution.node_run import Emit, asked, executing
from execution.packs import PackSide
from execution.registry import catalogue_of
from execution.spec import Declaration
from execution.tasks import Tasks
from execution.workers.worker import CheckQuestion, Verdict


class GraphEngine:
    """Runs jobs on an executor and answers for its nodes.

    system: what `/system_stats` shows, measured afresh at every call. unload: gives the memory of models back. packs:
    what they bring besides nodes. memory: which models are where, also while a job runs.
    read_ahead: is given the job that comes next; returns soon.
    """

    def __init__(
        self,
        executor: Executor,
        system: Callable[[], Mapping[str, Any]],
        unload: Callable[[], None] = lambda: None,
        packs: PackSide | None = None,
        memory: Callable[[], Mapping[str, Any]] = lambda: {"device": None, "models": []},
        read_ahead: Callable[[Job], None] = lambda job: None,
    ):
        self.packs = packs
        self._executor = executor
        self._system = system
        self._unload = unload
        self._memory = memory
        self._read_ahead = read_ahead

    def run(self, job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        if self.packs is None:
            return self._executor.run(job, emit, should_stop)
        self.packs.begin(job)
        try:
            return self._executor.run(job, emit, should_stop)
        finally:
            wishes = self.packs.end(job)
            self.free(wishes.unload_models, wishes.free_memory)

    def catalogue(self) -> Mapping[str, Declaration]:
        return catalogue_of(self._executor.nodes, self._executor.listing)

    def check(self, questions: Sequence[CheckQuestion]) -> Sequence[Verdict]:
        """Ask the validators of nodes, in order. One that raises or returns nonsense costs its own verdict only."""
        tasks = Tasks(lambda: None)
        try:
            return [self._verdict(question, tasks) for question in questions]
        finally:
            tasks.close()

    def free(self, unload_models: bool, free_memory: bool) -> None:
        if free_memory:
            self._executor.free()
        if unload_models or free_memory:
            self._unload()

    def system(self) -> Mapping[str, Any]:
        return self._system()

    def memory(self) -> Mapping[str, Any]:
        return self._memory()

    def expect(self, job: Job) -> None:
        self._executor.next_job = job
        self._read_ahead(job)

    def _verdict(self, question: CheckQuestion, tasks: Tasks) -> Verdict:
        if question.class_type not in self._executor.nodes:
            return Verdict(question.node, None)  # the prompt is refused for that already
        kind = self._executor.kinds(question.class_type)
        try:
            context = copy_context()
            context.run(executing.set, asked(question.node))
            capabilities = self._executor.capabilities
            answer, names = context.run(
                judge, kind, question.values, question.linked, question.types, capabilities, tasks.finish
            )
        except Exception as error:
            return Verdict(question.node, "", (), (exception_type(error), message_of(error), traceback_of(error)))
        if answer is True:
            return Verdict(question.node, None, names)
        return Verdict(question.node, "" if answer is False else str(answer), names)
