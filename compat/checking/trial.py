"""Runs one node with made-up inputs, as the executor would, and notes what it did to them."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from compat.checking.samples import copied, sample_of
from execution.events import NodeRef
from execution.kind import capabilities_for
from execution.node_run import NodeRun, Voice, executing
from execution.spec import Declaration, NodeSpec, Outcome


@dataclass(frozen=True, slots=True)
class Tried:
    """One call. error: what it raised. before, after: copies of its inputs, as they were given and
    as they were left."""

    seconds: float
    outcome: Outcome | None
    error: BaseException | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def inputs_for(declaration: Declaration, *, optional: bool) -> dict[str, Any]:
    """Something for every required input, for lazy ones, and where asked for the optional ones that can be had.

    Raises NoSample."""
    values: dict[str, Any] = {}
    for spec in declaration.inputs:
        if spec.required:
            values[spec.name] = sample_of(spec)
        elif optional or spec.lazy:
            try:
                values[spec.name] = sample_of(spec)
            except LookupError:
                continue
    if declaration.takes_lists:
        return {name: [value] for name, value in values.items()}
    return values


def try_once(
    spec: NodeSpec, instance: object | None, inputs: Mapping[str, Any], capabilities: Mapping[type, object], seed: int
) -> Tried:
    """Call a node. seed: of torch's shared random numbers, which a node should not depend on."""
    given = dict(inputs)
    before = copied(given)
    graph: dict[str, Any] = {"1": {"class_type": spec.id, "inputs": {}}}
    run = NodeRun("check", NodeRef("1", "1", None, "1"), graph, {}, Voice(lambda _: None), lambda: False)
    arguments = {**given, **capabilities_for(spec, capabilities, None, run)}
    positional = () if instance is None else (instance,)
    token = executing.set(run)
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
    began = time.perf_counter()
    outcome: Outcome | None = None
    error: BaseException | None = None
    try:
        with torch.inference_mode():
            made = spec.run(*positional, **arguments)
            outcome = asyncio.run(_awaited(made)) if isinstance(made, Awaitable) else made
    except BaseException as raised:  # someone else's code, which may even exit
        error = raised
    finally:
        executing.reset(token)
    seconds = time.perf_counter() - began
    return Tried(seconds, outcome, error, before, {name: copied(value) for name, value in given.items()})


async def _awaited(made: Awaitable[Outcome]) -> Outcome:
    return await made


def instance_of(spec: NodeSpec) -> object | None:
    return None if spec.new_instance is None else spec.new_instance()
