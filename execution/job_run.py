"""One job from its start to its ending.

`graph` holds the nodes of the prompt, and those of expansions as they appear; `signer.signed` names what each of them
makes. The schedule says who is next. A node that expanded, or asked for a lazy input, goes back to the schedule with
what it waits for, and is stepped again when that is there.
"""

import gc
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from functools import cache
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from execution.cache import Entry, InnerShown
from execution.calls import Arguments, Resolved, Slots, bind, blocker_in, calls_of, gather, resolve
from execution.context import JobInterrupted
from execution.events import (
    Cached,
    Ending,
    Failed,
    Interrupted,
    NodeBlocked,
    NodeFinished,
    NodeRef,
    NodeStarted,
    Started,
    Succeeded,
)
from execution.expansion import InvalidExpansion, read_expansion, refs_of
from execution.explain import Reasons, Seen
from execution.failure import problem_of
from execution.graph import parents_in, walk
from execution.hooks import fingerprint, links_wanted
from execution.input_rules import RuleBook
from execution.job import Job
from execution.kind import AfreshOnce, Kind, capabilities_for
from execution.node_run import GraphView, NodeRun, Voice, executing
from execution.outlook import Signing, inputs_at_hand, inputs_of_next
from execution.prompt import Node, parse
from execution.schedule import Schedule
from execution.signature import Signer
from execution.spec import Blocked, Expanded, Link, NodeResult
from execution.tasks import Tasks
from execution.working_set import WorkingSet

if TYPE_CHECKING:
    from execution.executor import Executor

_MOST_EXPANDED = 200_000
Outcome = NodeResult | Expanded | Blocked


class DependencyCycle(ValueError):
    """Nodes wait for each other; no order can run them."""

    def __init__(self, cycle: Sequence[str]):
        self.cycle = list(cycle)
        shown = [*self.cycle[:20], "…"] if len(self.cycle) > 20 else [*self.cycle, *self.cycle[:1]]
        super().__init__(f"nodes depend on each other in a circle: {' -> '.join(shown)}")


class WrongOutcome(TypeError):
    def __init__(self, class_type: str, outcome: object):
        what = "nothing" if outcome is None else f"a {type(outcome).__name__}"
        super().__init__(f"{class_type} must return a NodeResult, an Expanded or a Blocked; it returned {what}")


@dataclass(slots=True)
class _Lazy:
    """A node with lazy links. asked: what it asked for, batch after batch. settled: it wants nothing more."""

    asked: list[list[str]] = field(default_factory=list[list[str]])
    settled: bool = False


@dataclass(slots=True)
class _Opened:
    """A node that expanded and waits for what it became. outcomes: one per call. inner: ids of the new nodes."""

    outcomes: list[Outcome]
    inner: list[str]


@dataclass(slots=True)
class _Awaited:
    """An asynchronous node that runs. indices: the calls in `outcomes` that are not there yet."""

    outcomes: list[Any]
    indices: list[int]
    arguments: Arguments


class JobRun:
    def __init__(self, executor: "Executor", job: Job, voice: Voice, should_stop: Callable[[], bool]):
        self.reasons = Reasons(executor.cache)
        self._executor = executor
        self._job = job
        self._voice = voice
        self._should_stop = should_stop
        self._cache = executor.cache
        self._kinds = cache(executor.kinds)  # one state of the registry for the whole job
        self._declarations = AfreshOnce(executor.nodes)
        self._graph: dict[str, Node] = {}
        self._refs: dict[str, NodeRef] = {}
        self._view = GraphView(job.graph, self._graph, self._ref)
        self._fingerprints: dict[str, Any] = {}
        self._signer = Signer(self._graph, self._kinds, executor.decisions, executor.once, self._fingerprints)
        self._results = WorkingSet(self._cache)
        self._schedule = Schedule(self._parents, self._is_at_hand, self._is_urgent)
        self._tasks = Tasks(self._check)
        self._rules = RuleBook(executor.listing, executor.file_exists, rounding=True)
        self._lazy: dict[str, _Lazy] = {}
        self._opened: dict[str, _Opened] = {}
        self._awaited: dict[str, _Awaited] = {}
        self._in_flight: dict[str, str] = {}
        self._expanded = 0
        self._current: str | None = None
        self._arguments: Arguments = {}
        self._executed: list[str] = []
        self._told: dict[int, Blocked] = {}
        self._told_by: set[str] = set()
        self._shown_inside: dict[str, list[tuple[NodeRef, Mapping[str, Any]]]] = {}

    def to_the_end(self) -> Ending:
        """Run the job. Whatever its nodes do becomes an ending."""
        job, clock = self._job, self._executor.clock
        decisions = self._executor.decisions.changes
        self._voice.say(Started(job.id, clock()))
        try:
            with collection_paused():
                self._begin()
            self._loop()
            return Succeeded(job.id, clock(), tuple(self._voice.notes))
        except JobInterrupted:
            return self._interrupted()
        except BaseException as error:
            return self._failed(error)
        finally:
            self._tasks.close()
            if self._executor.decisions.changes != decisions:
                self._rename_results()
            self._let_go()

    # Beginning

    def _begin(self) -> None:
        job, graph, signed = self._job, self._graph, self._signer.signed
        graph.update(parse(job.graph, self._executor.limits))
        if missing := [id for id in job.outputs if id not in graph]:
            raise ValueError(f"the job asks for nodes that its graph does not have: {', '.join(missing)}")
        needed = walk(job.outputs, parents_in(graph))
        if needed.cycles:
            raise DependencyCycle(needed.cycles[0])
        self._executor.instances.keep_only({id: node.class_type for id, node in graph.items()})
        self._sign(needed.order)
        self._sign_the_rest(set(needed.order))
        self._cache.begin(signed.values())
        known = {id: entry for id in graph if id in signed and (entry := self._cache.held(signed[id])) is not None}
        cached = [id for id in graph if id in known or (id in signed and self._cache.shelved(signed[id]))]
        self._voice.say(Cached(job.id, cached, self._executor.clock()))
        self._report_known(known, set(needed.order))
        memory = self._executor.memory
        seen = [self._seen(id) for id in needed.order]
        for now in seen:
            if now.node.id not in known:
                self.reasons.note(now, memory.get(now.node.id))
        memory.remember(seen)
        self._use(self._schedule.add(job.outputs))

    def _sign(self, ids: Sequence[str]) -> None:
        """ids: parents first."""
        for id in ids:
            self._current = id
            node = self._graph[id]
            kind = self._kinds(node.class_type)
            if kind.spec.fingerprint is not None:
                self._check()
                self._fingerprints[id] = fingerprint(
                    kind, node, self._executor.capabilities, self._run_of(id), self._tasks.finish
                )
            if self._signer.sign(id) is None:
                missing = [link.node for link in node.links.values() if link.node not in self._graph]
                raise ValueError(f"node {id} is linked to nodes that do not exist: {', '.join(missing)}")
        self._current = None

    def _sign_the_rest(self, needed: set[str]) -> None:
        """Nodes that no output needs are signed too, to say that they are cached; unless that costs anything."""
        rest = [id for id, node in self._graph.items() if id not in needed and node.class_type in self._executor.nodes]
        for id in walk(rest, parents_in(self._graph)).order:
            if id not in needed:
                node = self._graph[id]
                if node.class_type in self._executor.nodes and self._kinds(node.class_type).spec.fingerprint is None:
                    self._signer.sign(id)

    def _report_known(self, known: Mapping[str, Entry], needed: set[str]) -> None:
        """What cached nodes show is told again: as owed for outputs of the job, for the record for others."""
        outputs = set(self._job.outputs)
        for id, entry in known.items():
            if id in needed:
                self._report_inside(id, entry)
            if id in outputs or entry.ui:
                self._say_finished(id, entry.ui, reused=True, reported=id in outputs)

    def _report_inside(self, id: str, entry: Entry) -> list[tuple[NodeRef, Mapping[str, Any]]]:
        """Tell what the nodes inside an expansion show that came from the cache."""
        mine = self._ref(id)
        told = [(shown.under(mine), shown.ui) for shown in entry.inner]
        for ref, ui in told:
            self._voice.say(NodeFinished(self._job.id, ref, ui, reused=True, reported=True))
        return told

    # Scheduling

    def _parents(self, id: str) -> list[str]:
        """What a node cannot start without: the sources of its links that are not lazy."""
        node = self._graph[id]
        lazy = self._kinds(node.class_type).lazy
        if not lazy:
            return [link.node for link in node.links.values()]
        return [link.node for name, link in node.links.items() if name not in lazy]

    def _is_urgent(self, id: str) -> bool:
        declaration = self._kinds(self._graph[id].class_type).declaration
        return declaration.is_output or declaration.is_async

    def _is_at_hand(self, id: str) -> bool:
        return self._results.find(self._signer.signed[id]) is not None

    def _use(self, new: Sequence[str]) -> None:
        signed = self._signer.signed
        for id in new:
            self._results.use(id, [signed[id], *(signed[link.node] for link in self._graph[id].links.values())])

    def _wait(self, id: str, on: Sequence[str]) -> None:
        self._use(self._schedule.wait(id, on))

    # Running

    def _loop(self) -> None:
        schedule, tasks = self._schedule, self._tasks
        while True:
            id = schedule.pop()
            if id is not None:
                self._current = id
                self._check()
                self._step(id)
            elif not tasks:
                break
            if tasks:
                self._current = tasks.first
                self._collect(wait=id is None)
        if schedule:
            cycle = schedule.circle()
            self._current = next((id for id in cycle if self._ref(id).parent), cycle[0] if cycle else None)
            raise DependencyCycle(cycle)

    def _check(self) -> None:
        if self._should_stop():
            raise JobInterrupted

    def _step(self, id: str) -> None:
        """Bring a ready node one step further: from what a twin made, from what it expanded into, or by calling it."""
        self._arguments = {}
        signature = self._signer.signed[id]
        entry = self._results.find(signature)
        if entry is not None:
            self._reuse(id, entry)
            return
        if signature in self._in_flight:
            self._wait(id, [self._in_flight[signature]])
            return
        node = self._graph[id]
        kind = self._kinds(node.class_type)
        if id in self._opened:
            self._assemble(id, kind)
            return
        if self.reasons.start(id):
            self._voice.say(NodeStarted(self._job.id, self._ref(id), self.reasons.of(id)))
        held_back: Sequence[str] = ()
        if kind.lazy:
            held_back = self._ask(id, node, kind)
            if not self._lazy[id].settled:
                return
        self._arguments = bind(kind, node, self._made(node, kind, held_back), hold_back=held_back)
        self._call(id, kind, calls_of(kind, node, self._arguments))

    def _made(self, node: Node, kind: Kind, held_back: Sequence[str]) -> dict[str, Slots]:
        signed, results = self._signer.signed, self._results
        return {
            link.node: results[signed[link.node]].slots
            for name, link in node.links.items()
            if name not in held_back and name not in kind.raw
        }

    def _ask(self, id: str, node: Node, kind: Kind) -> list[str]:
        """Ask a node which lazy links it wants, and schedule them. Returns the links it has not asked for."""
        lazy = self._lazy.setdefault(id, _Lazy())
        known = [name for names in lazy.asked for name in names]
        held_back = [name for name in node.links if name in kind.lazy and name not in known]
        if lazy.settled:
            return held_back
        self._arguments = bind(kind, node, self._made(node, kind, held_back), hold_back=held_back)
        wanted = links_wanted(
            kind,
            node,
            self._arguments,
            known,
            self._instance(id, kind),
            self._executor.capabilities,
            self._run_of(id),
            self._tasks.finish,
        )
        if kind.spec.needs is not None:
            self._executor.decisions.remember(self._signer.known_key(id, lazy.asked), wanted)
        if wanted:
            lazy.asked.append(wanted)
            self._wait(id, [node.links[name].node for name in wanted])
        else:
            lazy.settled = True
        return held_back

    def _call(self, id: str, kind: Kind, calls: list[dict[str, Any]]) -> None:
        spec = kind.spec
        instance = self._instance(id, kind)
        positional = () if instance is None else (instance,)
        outcomes: list[Any] = []
        awaited: list[tuple[int, Awaitable[Any], Context]] = []
        for index, arguments in enumerate(calls):
            if index:
                self._check()
            blocker = blocker_in(kind, arguments)
            if blocker is not None:
                outcomes.append(self._block(id, blocker))
                continue
            run = self._run_of(id, index)
            if spec.given:
                arguments.update(capabilities_for(spec, self._executor.capabilities, None, run))
            context = copy_context()
            context.run(executing.set, run)
            outcome: Any = context.run(spec.run, *positional, **arguments)
            if type(outcome) is not NodeResult and isawaitable(outcome):
                awaited.append((index, outcome, context))
            outcomes.append(outcome)
        if awaited:
            self._awaited[id] = _Awaited(outcomes, [index for index, _, _ in awaited], self._arguments)
            self._in_flight[self._signer.signed[id]] = id
            self._tasks.start(id, [(awaitable, context) for _, awaitable, context in awaited])
        else:
            self._take(id, kind, outcomes)

    def _collect(self, wait: bool) -> None:
        """Take what asynchronous nodes have made. wait: until one has."""
        for id, ended in self._tasks.fetch(wait):
            self._current = id
            awaited = self._awaited.pop(id)
            self._arguments = awaited.arguments
            del self._in_flight[self._signer.signed[id]]
            for index, end in zip(awaited.indices, ended, strict=True):
                if end.error is not None:
                    raise end.error
                awaited.outcomes[index] = end.value
            self._take(id, self._kinds(self._graph[id].class_type), awaited.outcomes)

    def _block(self, id: str, blocker: Blocked) -> Blocked:
        """A call that is not made. The message is told once; whoever comes after is blocked in silence."""
        if blocker.message is not None and _identity(blocker) not in self._told:
            self._told[_identity(blocker)] = blocker
            self._told_by.add(id)
            ref = self._ref(id)
            node_type = self._graph[id].class_type
            # The latest are enough: thousands of blockers that each name thousands of nodes would drown everything.
            executed = tuple(self._executed[-1000:])
            self._voice.say(NodeBlocked(self._job.id, ref, node_type, blocker.message, executed))
        return Blocked()

    def _take(self, id: str, kind: Kind, outcomes: list[Any]) -> None:
        """What a node's calls returned."""
        for outcome in outcomes:
            if not isinstance(outcome, NodeResult | Expanded | Blocked):
                raise WrongOutcome(kind.spec.id, outcome)
        if any(isinstance(outcome, Expanded) for outcome in outcomes):
            self._open(id, outcomes)
        else:
            made = gather(kind, outcomes)
            self._keep(id, Entry(made.slots, made.ui, passing=id in self._told_by))

    # Expansion

    def _open(self, id: str, outcomes: list[Outcome]) -> None:
        """Let a node become the graphs it returned, and wait for what it wants of them."""
        inner: list[str] = []
        wanted: list[str] = []
        for outcome in outcomes:
            if isinstance(outcome, Expanded):
                self._expanded += len(outcome.graph)
                if self._expanded > _MOST_EXPANDED:
                    raise InvalidExpansion(f"the job has expanded into more than {_MOST_EXPANDED} nodes")
                executor = self._executor
                added = read_expansion(outcome, self._graph, self._declarations, self._rules, executor.limits)
                self._refs.update(refs_of(added, self._ref(id), self._graph))
                inner += added
                for value in outcome.values:
                    if isinstance(value, Link):
                        if value.node not in self._graph:
                            raise InvalidExpansion(f"the expansion's result is linked to no node: {value.node!r}")
                        wanted.append(value.node)
        walked = walk(inner, parents_in(self._graph))
        if walked.cycles:
            raise DependencyCycle(walked.cycles[0])
        new = set(inner)
        self._sign([other for other in walked.order if other in new])
        self._current = id
        signed = self._signer.signed
        for other in inner:
            if self._kinds(self._graph[other].class_type).declaration.is_output:
                wanted.append(other)
                entry = self._results.find(signed[other])
                if entry is not None:
                    self._say_reused(other, entry)
        self._opened[id] = _Opened(outcomes, inner)
        self._results.use(id, [signed[other] for other in wanted])
        self._wait(id, wanted)

    def _assemble(self, id: str, kind: Kind) -> None:
        """Everything a node expanded into has run."""
        opened = self._opened.pop(id)
        signed = self._signer.signed
        results: list[NodeResult | Resolved | Blocked] = []
        for outcome in opened.outcomes:
            if isinstance(outcome, Expanded):
                nodes = {value.node for value in outcome.values if isinstance(value, Link)}
                made = {node: self._results[signed[node]].slots for node in nodes}
                results.append(resolve(kind, outcome, made))
            else:
                results.append(outcome)
        told = [shown for other in opened.inner for shown in self._shown_inside.get(other, ())]
        mine = self._ref(id)
        inner = [InnerShown(ref, id, ref.display == mine.display, ui) for ref, ui in told]
        if mine.parent is not None:
            self._shown_inside[id] = told
        made = gather(kind, results)
        children = [signed[other] for other in opened.inner]
        self._keep(id, Entry(made.slots, made.ui, inner, children, passing=id in self._told_by))

    # Finishing

    def _keep(self, id: str, entry: Entry) -> None:
        signature = self._signer.signed[id]
        self._results.keep(signature, entry)
        outputs = self._kinds(self._graph[id].class_type).declaration.outputs
        self._cache.put_on_shelf(signature, [output.type for output in outputs], entry)
        self._executed.append(id)
        self._say_finished(id, entry.ui, reused=False, reported=bool(entry.ui))
        self._done(id)

    def _reuse(self, id: str, entry: Entry) -> None:
        """A twin made it meanwhile."""
        self._say_reused(id, entry)
        self._done(id)

    def _say_reused(self, id: str, entry: Entry) -> None:
        told = self._report_inside(id, entry)
        self._say_finished(id, entry.ui, reused=True, reported=True)
        if self._ref(id).parent is not None:
            self._shown_inside.setdefault(id, []).extend(told)

    def _done(self, id: str) -> None:
        self._schedule.finish(id)
        self._results.release(id)

    def _say_finished(self, id: str, ui: Mapping[str, Any] | None, *, reused: bool, reported: bool) -> None:
        ref = self._ref(id)
        self._voice.say(NodeFinished(self._job.id, ref, ui, reused, reported))
        if ui and ref.parent is not None:
            self._shown_inside.setdefault(id, []).append((ref, ui))

    def _rename_results(self) -> None:
        """Lazy nodes have decided, so what they and their consumers depend on is known more narrowly."""
        before = dict(self._signer.signed)
        for id, signature in self._signer.sign_again().items():
            self._cache.rename(before[id], signature)
        # The next prompt is compared with this one under the names it will use itself.
        memory = self._executor.memory
        memory.remember([self._seen(id) for id in before if memory.get(id) and self._ref(id).parent is None])

    def _let_go(self) -> None:
        """Of everything a node may have made; this object itself waits for the garbage collector."""
        self._results.clear()
        self._arguments = {}
        for held in (self._graph, self._opened, self._awaited, self._told, self._shown_inside):
            held.clear()

    def _interrupted(self) -> Interrupted:
        id = self._current
        node_type = self._graph[id].class_type if id else ""
        ref = self._ref(id) if id else None
        return Interrupted(self._job.id, self._executor.clock(), ref, node_type, tuple(self._executed))

    def _failed(self, error: BaseException) -> Failed:
        """The node that failed is named by its ancestor in the prompt."""
        real = self._ref(self._current).real if self._current in self._graph else ""
        node_type = self._graph[real].class_type if real else ""
        problem = problem_of(error, real, node_type, self._arguments, self._executed)
        if isinstance(error, DependencyCycle):
            # The name clients know it by; where in the engine it was noticed helps nobody.
            problem = replace(problem, exception_type="graph.DependencyCycleError", traceback=(), inputs={})
        return Failed(self._job.id, self._executor.clock(), problem)

    # Small things

    def _ref(self, id: str) -> NodeRef:
        ref = self._refs.get(id)
        if ref is None:
            ref = self._refs[id] = NodeRef(id, id, None, id)
        return ref

    def _run_of(self, id: str, list_index: int = 0) -> NodeRun:
        job = self._job
        return NodeRun(
            job.id,
            self._ref(id),
            job.graph,
            job.extra,
            self._voice,
            self._should_stop,
            list_index,
            self._view,
            lambda: self._upcoming(id),
        )

    def _upcoming(self, id: str) -> list[Any]:
        ahead = self._schedule.ahead()
        ids = [other for other in ahead if other != id]
        found = list(inputs_at_hand(ids, self._graph, self._signer.signed, self._results.peek))
        job, executor = self._executor.next_job, self._executor
        if job is None or job.id == self._job.id:
            return found
        coming = {self._signer.signed[other] for other in ahead}
        known = Signing(self._kinds, executor.decisions, self._graph, self._fingerprints, executor.limits, coming)
        try:
            return [*found, *inputs_of_next(job, known, self._results.peek)]
        except Exception:  # it is only a look ahead; what is wrong with that job is told when it runs
            return found

    def _instance(self, id: str, kind: Kind) -> object | None:
        if kind.spec.new_instance is None:
            return None
        return self._executor.instances.of(self._ref(id).real, id, kind.spec)

    def _seen(self, id: str) -> Seen:
        return Seen(self._graph[id], self._signer.signed[id], self._fingerprints.get(id), self._signer.signed)


@contextmanager
def collection_paused() -> Generator[None]:
    """Without the garbage collector, for work that only builds up: it would go through a large graph again and again,
    find nothing, and make the cost grow faster than the graph."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _identity(thing: object) -> int:
    return id(thing)
