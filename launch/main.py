"""The program's entry: which command was asked for, and its exit code."""

import sys
from collections.abc import Sequence
from pathlib import Path

HOME = Path(__file__).parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command the arguments name; without one, the server. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Each command imports what it needs and no more: the server must answer long before torch is loaded.
    match words[:1]:
        case ["run"]:
            from launch.commands.run import run

            return run(words[1:], HOME)
        case ["fetch"]:
            from launch.commands.fetch import fetch

            return fetch(words[1:], HOME)
        case ["check-pack"]:
            from launch.commands.check_pack import check_pack

            return check_pack(words[1:])
        case ["worker"]:
            from launch.commands.worker import worker

            return worker(words[1:], HOME)
        case _:
            from launch.commands.serve import serve

            return serve(words, HOME)
