"""`main.py run GRAPH.json`: the same engine without a server.

Exit codes: 0 every graph ran, 1 one did not, 2 the graph or the arguments are wrong, 130 stopped with Ctrl-C.
"""

import asyncio
import json
import signal
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO, cast

from compat.prestartup import run_scripts
from execution.engine import GraphEngine
from execution.events import Crashed, Ending, Failed, Interrupted, NodeFinished, Succeeded
from execution.job import Job
from execution.problems import PromptRejected
from execution.prompt import parse
from execution.record import final_state
from execution.spec import Declaration
from execution.validate import validate
from execution.workers.thread import ThreadWorker
from execution.workers.worker import NoAnswer
from execution.workflow.convert import to_prompt
from execution.workflow.read import WorkflowError, is_workflow
from launch.arguments import Parser, add_execution, add_paths, common_settings
from launch.commands.overrides import BadOverride, graphs, parse_override
from launch.commands.progress import Bar, Quiet
from launch.engine import build_engine, wanted
from launch.folders import BadModelPaths, folders_of
from launch.logs import configure
from launch.settings import Settings
from storage.folders import Folders
from storage.inputs import Inputs

DONE, FAILED, WRONG, STOPPED = 0, 1, 2, 130
# Importing torch and every node takes seconds on a cold disk; a start that never ends is still an error.
STARTING = 300.0


class Unusable(ValueError):
    """The graph cannot be run as it stands. The text says why and where."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one graph ended. files: what it saved, in order. trouble: why it did not succeed."""

    state: str
    chosen: Mapping[str, Any]
    outputs: Mapping[str, Any]
    files: Sequence[str]
    seconds: float
    trouble: str | None
    notes: Sequence[str]


def run(arguments: Sequence[str], home: Path) -> int:
    """Run the command; returns its exit code."""
    parser = Parser(prog="main.py run", description="Run a graph without a server.")
    parser.add_argument("graph", type=Path, metavar="GRAPH.json", help="a graph in API form, or an editor's workflow")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NODE.INPUT=VALUE",
        help="replace a value; 3.seed=1..4 runs the graph four times; NODE may be left out where only one has INPUT",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="save into this folder instead of the output folder")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each graph and nothing else")
    add_paths(parser)
    add_execution(parser)
    parsed = parser.parse_args(list(arguments))
    settings = Settings(**common_settings(parsed, home), arguments=("main.py", "run", *arguments))
    if parsed.out is not None:
        settings = replace(settings, paths=replace(settings.paths, output=parsed.out.resolve()))
    configure(settings.log_level if settings.log_level != "INFO" else "WARNING")
    try:
        written = read_graph(parsed.graph)
        folders = folders_of(settings.paths)
        folders.make()
        return asyncio.run(run_all(written, parsed.set, settings, folders, sys.stdout, as_json=parsed.json))
    except (Unusable, BadOverride, BadModelPaths) as problem:
        print(f"main.py run: {problem}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return STOPPED


def read_graph(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises Unusable."""
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unusable(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unusable(f"{path}: expected a graph (a JSON object), got {type(value).__name__}")
    found = cast(dict[str, Any], value)
    # What scripts post to /prompt holds the graph under a key of its own.
    return found["prompt"] if isinstance(found.get("prompt"), dict) and "class_type" not in found["prompt"] else found


async def run_all(
    written: dict[str, Any], texts: Sequence[str], settings: Settings, folders: Folders, out: TextIO, *, as_json: bool
) -> int:
    """Start an engine and run every graph that the overrides make, one after another; the cache lives across them."""

    def build() -> GraphEngine:
        run_scripts(folders.directories("custom_nodes"), wanted(settings.packs))
        return build_engine(settings, folders)

    worker = ThreadWorker(build)
    await worker.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set) if sys.platform != "win32" else None
    try:
        try:
            catalogue = await worker.catalogue(STARTING)
        except NoAnswer as silent:
            raise Unusable(f"the engine did not start: {worker.trouble or silent}") from silent
        graph = as_prompt(written, catalogue)
        jobs = [(chosen, job_of(changed, catalogue, folders, settings)) for chosen, changed in variants(graph, texts)]
        failed = False
        for number, (chosen, job) in enumerate(jobs):
            bar = Quiet() if as_json or not sys.stderr.isatty() else Bar(job, number, len(jobs))
            result = await run_one(worker, job, chosen, folders, bar, stopped)
            print(line(result) if as_json else summary(result), file=out, flush=True)
            failed = failed or result.state != "succeeded"
            if stopped.is_set():
                return STOPPED
        return FAILED if failed else DONE
    finally:
        await worker.close()


def variants(graph: dict[str, Any], texts: Sequence[str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return list(graphs(graph, [parse_override(text, graph) for text in texts]))


def as_prompt(written: dict[str, Any], catalogue: Mapping[str, Declaration]) -> dict[str, Any]:
    if not is_workflow(written):
        return written
    try:
        return to_prompt(written, catalogue)
    except WorkflowError as error:
        raise Unusable(str(error)) from error


def job_of(
    prompt: Mapping[str, Any], catalogue: Mapping[str, Declaration], folders: Folders, settings: Settings
) -> Job:
    """A validated job. Raises Unusable with every complaint, one a line."""
    inputs = Inputs(folders.input, folders.output, folders.temp)
    try:
        valid = validate(parse(prompt), catalogue, listing=folders.listing, file_exists=inputs.has)
    except PromptRejected as rejected:
        lines = [str(rejected)]
        for id, errors in rejected.node_errors.items():
            lines += [f"  node {id} ({errors.class_type}): {p.message}: {p.details}" for p in errors.errors]
        raise Unusable("\n".join(lines)) from rejected
    return Job(str(uuid.uuid4()), 0, valid.graph, valid.outputs, {})


async def run_one(
    worker: ThreadWorker,
    job: Job,
    chosen: Mapping[str, Any],
    folders: Folders,
    bar: "Bar | Quiet",
    stopped: asyncio.Event,
) -> Result:
    outputs: dict[str, Any] = {}

    def emit(event: object) -> None:
        bar.take(event)
        if isinstance(event, NodeFinished) and event.ui:
            outputs[event.node.id] = event.ui

    began = time.perf_counter()
    running = asyncio.create_task(worker.run(job, emit))
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        worker.interrupt(job.id)
    ending = await running
    waiting.cancel()
    bar.close()
    seconds = time.perf_counter() - began
    notes = ending.notes if isinstance(ending, Succeeded) else ()
    return Result(final_state(ending), chosen, outputs, files_of(outputs, folders), seconds, trouble_of(ending), notes)


def files_of(outputs: Mapping[str, Any], folders: Folders) -> list[str]:
    """The paths of every file that the outputs name."""
    roots: Mapping[str, Callable[[], Path]] = {"output": lambda: folders.output, "temp": lambda: folders.temp}
    found: list[str] = []
    for ui in outputs.values():
        for entries in cast(Mapping[str, Sequence[Any]], ui).values():
            for entry in entries:
                if isinstance(entry, Mapping) and "filename" in entry:
                    named = cast(Mapping[str, str], entry)
                    root = roots.get(named.get("type", "output"), roots["output"])()
                    found.append(str(root / named.get("subfolder", "") / named["filename"]))
    return found


def trouble_of(ending: Ending) -> str | None:
    match ending:
        case Failed(problem=problem):
            where = f"node {problem.node_id} ({problem.node_type})"
            return f"{where}: {problem.exception_type}: {problem.message.strip()}"
        case Crashed(cause=cause):
            return cause
        case Interrupted():
            return "interrupted"
        case _:
            return None


def line(result: Result) -> str:
    """A result as one line of JSON."""
    return json.dumps(
        {
            "state": result.state,
            "set": dict(result.chosen),
            "files": list(result.files),
            "outputs": dict(result.outputs),
            "seconds": round(result.seconds, 3),
            "error": result.trouble,
            "notes": list(result.notes),
        }
    )


def summary(result: Result) -> str:
    """A result for people: what was set, the files, and what went wrong."""
    what = ", ".join(f"{name} = {value}" for name, value in result.chosen.items())
    head = f"{result.state} in {result.seconds:.2f} s" + (f" with {what}" if what else "")
    texts = [str(text) for ui in result.outputs.values() for text in ui.get("text", ())]
    return "\n".join(
        [head, *(f"  {file}" for file in result.files), *texts, *([result.trouble] if result.trouble else [])]
    )
