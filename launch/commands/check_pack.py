"""`main.py check-pack DIR`: try the nodes of a pack, and say what is wrong with them.

Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from launch.arguments import Parser
from launch.logs import configure

FINE, FAULTY, WRONG = 0, 1, 2


def check_pack(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    parser = Parser(
        prog="main.py check-pack",
        description="Try every node of a pack with made-up inputs: does it keep its promises?",
        epilog="docs/writing-nodes.md says what is checked and why.",
    )
    parser.add_argument("pack", type=Path, metavar="DIR", help="the folder of a pack, or its single file")
    parser.add_argument("--quiet", action="store_true", help="say nothing of nodes that are fine")
    parsed = parser.parse_args(list(arguments))
    path: Path = parsed.pack.resolve()
    if not (path / "__init__.py").is_file() and not (path.is_file() and path.suffix == ".py"):
        what = "a pack is a folder with an __init__.py, or a .py file"
        print(f"main.py check-pack: {parsed.pack} is none: {what}", file=sys.stderr)
        return WRONG
    configure("ERROR")
    # Imports torch and every node of ours, which takes seconds: not for a wrong argument.
    from compat.checking.check import check_pack as check
    from compat.checking.report import lines_of
    from nodes.catalogue import all_nodes

    with tempfile.TemporaryDirectory(prefix="heddle-check-") as base:
        report = check(path, Path(base), {spec.id: spec for spec in all_nodes()})
    print("\n".join(lines_of(report, parsed.quiet)))
    return FAULTY if report.faults else FINE
