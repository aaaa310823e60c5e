"""What is wrong with how a node declares itself."""

import json
from collections.abc import Iterator

from compat.checking.findings import Finding
from execution.input_rules import RuleBook
from execution.spec import Declaration, InputSpec


def schema_findings(declaration: Declaration, seconds: float) -> Iterator[Finding]:
    """seconds: what declaring it once takes; the page asks for it again and again."""
    names = [spec.name for spec in declaration.inputs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Finding("schema", f"two inputs are called {name!r}")
    if not declaration.category.strip("/ "):
        yield Finding("schema", "it has no category, so the menu cannot show it")
    if not declaration.outputs and not declaration.is_output:
        yield Finding("schema", "it makes nothing and is no output node, so it never runs")
    if not declaration.description:
        yield Finding("schema", "it has no description", is_fault=False)
    for spec in declaration.inputs:
        yield from _input_findings(spec)
    if seconds > 0.05:
        yield Finding("timing", f"declaring it takes {seconds * 1000:.0f} ms; the page waits for that", is_fault=False)


def _input_findings(spec: InputSpec) -> Iterator[Finding]:
    try:
        json.dumps(dict(spec.options))
    except (TypeError, ValueError) as error:
        yield Finding("schema", f"the options of {spec.name!r} are no JSON: {error}")
    low, high = spec.options.get("min"), spec.options.get("max")
    try:
        if low is not None and high is not None and low > high:
            yield Finding("schema", f"{spec.name!r} has a min of {low} above its max of {high}")
    except TypeError:
        yield Finding("schema", f"the limits of {spec.name!r} cannot be compared: {low!r} and {high!r}")
    from_files = spec.choices_from is not None or spec.names_file
    if spec.type == "COMBO" and spec.choices is not None and not spec.choices and not from_files:
        yield Finding("schema", f"{spec.name!r} has no choices", is_fault=False)
    default = spec.options.get("default")
    if default is None or spec.names_file or (spec.type == "COMBO" and not spec.choices):
        return
    _, problem = RuleBook(None, None).rule(spec).check(default)
    if problem is not None:
        yield Finding("schema", f"the default of {spec.name!r} would be refused: {problem.message} ({problem.details})")
