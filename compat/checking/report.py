"""A report as lines for people."""

from collections.abc import Iterator, Sequence

from compat.checking.findings import Finding, NodeReport, Report


def lines_of(report: Report, quiet: bool = False) -> Iterator[str]:
    """quiet: say nothing of nodes that are fine."""
    count = len(report.nodes)
    yield f"pack {report.name}: {_counted(count, 'node')}, imported in {report.seconds:.2f} s"
    yield from (f"  {_worded(finding)}" for finding in report.findings)
    width = max((len(node.id) for node in report.nodes), default=0)
    for node in report.nodes:
        if quiet and not node.findings and node.not_run is None:
            continue
        yield f"  {node.id:<{width}}  {_verdict(node)}"
        yield from (f"  {'':<{width}}    {_worded(finding)}" for finding in node.findings)
    yield _summary(report)


def _verdict(node: NodeReport) -> str:
    if node.not_run is not None:
        return f"not run: {node.not_run}"
    took = "" if node.seconds is None else f", {node.seconds * 1000:.1f} ms"
    return f"{_counted(node.faults, 'fault')}{took}" if node.faults else f"fine{took}"


def _worded(finding: Finding) -> str:
    return f"{'FAULT' if finding.is_fault else 'note'}  {finding.aspect}: {finding.sentence}"


def _summary(report: Report) -> str:
    run = sum(node.not_run is None for node in report.nodes)
    every: Sequence[Finding] = [*report.findings, *(finding for node in report.nodes for finding in node.findings)]
    notes = sum(not finding.is_fault for finding in every)
    tried = f"{run} of {_counted(len(report.nodes), 'node')} tried"
    return f"{_counted(report.faults, 'fault')}, {_counted(notes, 'note')}; {tried}"


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
