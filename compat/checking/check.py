"""Checks a pack: loads it into an installation of its own, declares its nodes and tries each of them."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from compat.checking.findings import Finding, NodeReport, Report
from compat.checking.samples import SAMPLE_PICTURE, NoSample, same
from compat.checking.schema import schema_findings
from compat.checking.trial import Tried, inputs_for, instance_of, try_once
from compat.checking.values import result_findings
from compat.install import install
from compat.packs import load_pack
from compat.prestartup import run_script
from compat.trouble import trouble_of
from compat.world import World
from diffusion.store import ModelStore
from execution.context import JobInterrupted
from execution.spec import Blocked, Declaration, Expanded, NodeResult, NodeSpec
from nodes.previews import Previews
from storage.folders import Folders
from storage.inputs import Inputs
from storage.outputs import Outputs

SLOW_IMPORT, SLOW_RUN = 2.0, 1.0  # seconds; what is tried is tiny


def check_pack(path: Path, base: Path, nodes: Mapping[str, NodeSpec]) -> Report:
    """path: the pack. base: an empty folder, for what its nodes read and write. nodes: ours, which it may build on.

    Never raises for what the pack does."""
    folders = Folders(base)
    folders.make()
    Image.linear_gradient("L").resize((24, 16)).convert("RGB").save(folders.input / SAMPLE_PICTURE)
    capabilities = capabilities_of(folders)
    install(
        World(
            folders,
            capabilities[Inputs],  # pyright: ignore[reportArgumentType]  # by their own type
            capabilities[Outputs],  # pyright: ignore[reportArgumentType]
            capabilities[ModelStore],  # pyright: ignore[reportArgumentType]
            nodes=dict(nodes),
            capabilities=capabilities,
        )
    )
    run_script(path)
    pack = load_pack(path)
    findings: list[Finding] = []
    if pack.trouble is not None and not pack.broken_nodes:
        help = f"; this may help: {pack.remedy}" if pack.remedy else ""
        findings.append(Finding("loading", f"it gives no nodes: {pack.trouble}{help}"))
    findings += [Finding("schema", f"node {id} is left out: {why}") for id, why in pack.broken_nodes.items()]
    for spec in pack.specs:
        if spec.id in nodes:
            findings.append(Finding("loading", f"node {spec.id} is left out: a node of ours has that name"))
    if pack.seconds > SLOW_IMPORT:
        findings.append(Finding("timing", f"importing it takes {pack.seconds:.1f} s", is_fault=False))
    return Report(pack.name, pack.seconds, [check_node(spec, capabilities, path) for spec in pack.specs], findings)


def capabilities_of(folders: Folders) -> dict[type, object]:
    store = ModelStore()
    return {
        Folders: folders,
        Inputs: Inputs(folders.input, folders.output, folders.temp),
        Outputs: Outputs(folders.output, folders.temp),
        ModelStore: store,
        Previews: Previews("none", 512, folders, store),
    }


def check_node(spec: NodeSpec, capabilities: Mapping[type, object], pack: Path) -> NodeReport:
    began = time.perf_counter()
    declaration = spec.redeclare() if spec.redeclare else spec.declaration
    findings = list(schema_findings(declaration, time.perf_counter() - began))
    try:
        wanted = [inputs_for(declaration, optional=True), inputs_for(declaration, optional=True)]
        if any(not one.required for one in declaration.inputs):
            wanted.append(inputs_for(declaration, optional=False))
    except NoSample as missing:
        return NodeReport(spec.id, findings, not_run=str(missing))
    try:
        instance = instance_of(spec)
    except Exception as error:
        return NodeReport(spec.id, [*findings, Finding("running", f"it cannot be made: {trouble_of(error, pack)}")])
    kept = _shared_state()
    tried = [try_once(spec, instance, inputs, capabilities, seed) for seed, inputs in enumerate(wanted)]
    findings += _run_findings(tried, declaration, pack)
    findings += [Finding("purity", f"it changed {what} for everybody") for what in _changed(kept)]
    return NodeReport(spec.id, list(dict.fromkeys(findings)), min(one.seconds for one in tried))


def _run_findings(tried: list[Tried], declaration: Declaration, pack: Path) -> Iterator[Finding]:
    for one in tried:
        if isinstance(one.error, JobInterrupted):
            yield Finding("running", "it stops the job", is_fault=False)
        elif one.error is not None:
            yield Finding("running", f"it raised {trouble_of(one.error, pack)}")
        for name, value in one.before.items():
            if not same(value, one.after[name]):
                yield Finding("purity", f"it changed its input {name!r}, which is in the cache and goes to others too")
        if isinstance(one.outcome, NodeResult):
            yield from result_findings(one.outcome, declaration)
        elif one.error is None and not isinstance(one.outcome, Blocked | Expanded):
            yield Finding("running", f"it returned a {type(one.outcome).__name__}")
    repeats = not declaration.has_fingerprint and not declaration.keyed_by_id and not declaration.is_output
    first, second = _made(tried[0]), _made(tried[1])
    if repeats and first is not None and second is not None and not same(first, second):
        yield Finding(
            "purity",
            "it made something else of the same inputs; draw from a generator of its own with a seed that is an "
            "input, or declare a fingerprint (IS_CHANGED)",
        )
    quickest = min(one.seconds for one in tried)
    if quickest > SLOW_RUN:
        yield Finding("timing", f"it takes {quickest:.1f} s for a tiny input", is_fault=False)


def _made(tried: Tried) -> tuple[Any, ...] | None:
    return tried.outcome.values if isinstance(tried.outcome, NodeResult) else None


def _shared_state() -> dict[str, object]:
    """What belongs to everybody in the process."""
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
        "whether torch keeps gradients": torch.is_grad_enabled(),
        "torch's default device": str(torch.get_default_device()),
    }


def _changed(before: Mapping[str, object]) -> list[str]:
    after = _shared_state()
    return [what for what, value in before.items() if after[what] != value]
