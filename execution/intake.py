"""From a request body to a job on disk: read, look up, ask, validate, queue.

`prepare` goes as far as a job that is known to be sound; `submit` queues it.

The loop is never held up: large graphs are checked in a thread, and validators, which are other people's code, run in
the worker and have a deadline; a prompt whose validators do not answer in time is accepted without them.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, NoReturn, TypeVar, cast

from execution.job import Job
from execution.known_nodes import KnownNodes
from execution.problems import NodeErrors, Problem, PromptRejected
from execution.prompt import Graph, Limits, parse_body, parse_targets
from execution.queue import DuplicateJob, InvalidNumber, Queue
from execution.registry import Listing
from execution.spec import Declaration
from execution.validate import FileExists, Validated, checks_needed, validate
from execution.workers.worker import CheckQuestion, NoAnswer, Verdict, Worker
from execution.workflow.convert import NOTES, PRIMITIVE, REROUTE, to_prompt
from execution.workflow.read import read_workflow

log = logging.getLogger(__name__)

T = TypeVar("T")
Handler = Callable[[Mapping[str, Any]], object]

SMALL = 200  # nodes: up to here a check takes less time than handing it to a thread
EDITORS_OWN = {*NOTES, PRIMITIVE, REROUTE}  # classes that only the editor knows
LONGEST_ID = 256  # characters of a prompt id or a client id


@dataclass(frozen=True, slots=True)
class Ticket:
    """A job is on disk. number: its priority, an int from the counter, a float if the client chose it. node_errors:
    what is wrong with the outputs that will not be run."""

    prompt_id: str
    number: float
    node_errors: Mapping[str, NodeErrors]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that may be queued. node_errors: as a `Ticket` has them."""

    job: Job
    node_errors: Mapping[str, NodeErrors]


@dataclass(frozen=True, slots=True)
class Checks:
    """How prompts are checked. listing: choices of inputs that name one. file_exists: for inputs that name a file.
    deadline: seconds that validators in the worker have. first_start: seconds to wait for the very first word of which
    nodes there are; a cold disk makes importing them slow. fresh: seconds for which an answer is good enough for a
    prompt that names an unknown node. limits: of the graph."""

    listing: Listing | None = None
    file_exists: FileExists | None = None
    deadline: float = 5
    first_start: float = 90
    fresh: float = 2
    limits: Limits | None = None


class Intake:
    """workers: whoever can be asked about nodes; the first that answers counts. handlers: see the whole body before
    anything else, each what the one before returned, and return the body to use, or an awaitable of it; one that raises
    is passed over."""

    def __init__(
        self,
        queue: Queue,
        nodes: KnownNodes,
        workers: Sequence[Worker],
        checks: Checks | None = None,
        handlers: Sequence[Handler] = (),
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ):
        self._queue = queue
        self._nodes = nodes
        self._workers = tuple(workers)
        self._checks = checks or Checks()
        self._handlers = list(handlers)
        self._new_id = new_id

    def add_handler(self, handler: Handler) -> None:
        self._handlers.append(handler)

    async def submit(self, body: Mapping[str, Any]) -> Ticket:
        """body: of `POST /prompt`. Returns once the job is on disk. Raises PromptRejected or QueueFull."""
        prepared = await self.prepare(body)
        job = prepared.job
        try:
            await self._queue.put(job)
        except DuplicateJob as duplicate:
            raise PromptRejected(
                Problem(
                    "duplicate_prompt_id",
                    f"A job with this prompt_id is already {duplicate.state}",
                    "give every prompt an id of its own, or none",
                    {"prompt_id": duplicate.id, "state": duplicate.state},
                )
            ) from duplicate
        return Ticket(job.id, job.number, prepared.node_errors)

    async def prepare(self, body: Mapping[str, Any]) -> Prepared:
        """Read and validate a body. Raises PromptRejected."""
        for handler in self._handlers:
            body = await _handled(handler, body)
        # The counter advances also for a prompt that is then refused: clients see numbers, not their absence.
        number = self._number(body)
        prompt_id, extra = self._prompt_id(body), _extra(body)
        graph = await self._parsed(body)
        targets = parse_targets(body)
        catalogue = await self._catalogue(node.class_type for node in graph.values())
        valid = await self._validated(graph, catalogue, targets)
        return Prepared(Job(prompt_id, number, valid.graph, valid.outputs, extra), valid.node_errors)

    async def convert(self, file: Mapping[str, Any]) -> dict[str, Any]:
        """The graph in API form of an editor's workflow file. Raises WorkflowError, and PromptRejected when it is not
        known yet which nodes there are."""
        workflow = await asyncio.to_thread(read_workflow, file)
        graphs = (workflow.root, *workflow.subgraphs.values())
        classes = {node.type for graph in graphs for node in graph.nodes.values()}
        catalogue = await self._catalogue(classes - workflow.subgraphs.keys() - EDITORS_OWN)
        return await asyncio.to_thread(to_prompt, file, catalogue)

    def _number(self, body: Mapping[str, Any]) -> float:
        try:
            return self._queue.number(body.get("number"), bool(body.get("front")))
        except InvalidNumber as invalid:
            raise PromptRejected(Problem("invalid_number", "number must be a finite number", str(invalid))) from invalid

    def _prompt_id(self, body: Mapping[str, Any]) -> str:
        asked = body.get("prompt_id")
        if asked is None:
            return self._new_id()
        if not _is_id(asked) or not asked:
            _refuse("invalid_prompt_id", "prompt_id", asked)
        return asked

    async def _parsed(self, body: Mapping[str, Any]) -> Graph:
        prompt = body.get("prompt")
        large = isinstance(prompt, Mapping) and len(cast(Mapping[Any, Any], prompt)) > SMALL
        return await _call(large, lambda: parse_body(body, self._checks.limits))

    async def _catalogue(self, classes: Iterable[str]) -> Mapping[str, Declaration]:
        """The known nodes; asked for afresh when a class is not among them."""
        known = self._nodes.current()
        if all(one in known for one in classes):
            return known
        try:
            deadline = self._checks.deadline if known else self._checks.first_start
            return await self._nodes.refresh(deadline, self._checks.fresh)
        except NoAnswer as silent:
            if known:
                return known
            problem = Problem("nodes_unknown", "The worker has not yet said which nodes there are", str(silent))
            raise PromptRejected(problem) from silent

    async def _validated(
        self, graph: Graph, catalogue: Mapping[str, Declaration], targets: Collection[str] | None
    ) -> Validated:
        large = len(graph) > SMALL
        questions = await _call(large, lambda: checks_needed(graph, catalogue, targets))
        verdicts = await self._verdicts(questions) if questions else ()
        listing, file_exists = self._checks.listing, self._checks.file_exists
        return await _call(
            large,
            lambda: validate(graph, catalogue, targets, verdicts, listing=listing, file_exists=file_exists),
        )

    async def _verdicts(self, questions: Sequence[CheckQuestion]) -> Sequence[Verdict]:
        for worker in self._workers:
            try:
                return await worker.check(questions, self._checks.deadline)
            except NoAnswer as silent:
                log.warning("A prompt is accepted without its nodes' own validators: %s", silent)
        return ()


async def _handled(handler: Handler, body: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        changed = handler(body)
        if isawaitable(changed):
            changed = cast(object, await changed)
    except Exception:  # a pack's code
        log.exception("A handler of prompts failed; the prompt is used as it was")
        return body
    if not isinstance(changed, Mapping):
        log.error("A handler of prompts returned %s instead of the prompt", type(changed).__name__)
        return body
    return cast(Mapping[str, Any], changed)


def _extra(body: Mapping[str, Any]) -> dict[str, Any]:
    """`extra_data` with the client's id in it. An id that is "" is another than none."""
    given = body.get("extra_data")
    if given is not None and not isinstance(given, Mapping):
        _refuse("invalid_extra_data", "extra_data", given, "an object")
    extra = dict(cast(Mapping[str, Any], given or {}))
    if body.get("client_id") is not None:
        extra["client_id"] = body["client_id"]
    client_id = extra.get("client_id")
    if client_id is None:
        extra.pop("client_id", None)
    elif not _is_id(client_id):
        _refuse("invalid_client_id", "client_id", client_id)
    return extra


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_ID and value.isprintable()


def _refuse(
    type: str, name: str, got: object, wanted: str = f"printable text of at most {LONGEST_ID} characters"
) -> NoReturn:
    shown = repr(got)[:80] if isinstance(got, str | int | float | None) else "an object or a list"
    raise PromptRejected(Problem(type, f"{name} must be {wanted}", f"received {shown}"))


async def _call(in_thread: bool, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if in_thread else work()
