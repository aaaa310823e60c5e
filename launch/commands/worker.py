"""`main.py worker`: the process in which graphs run. Started by the server, with the server's own arguments."""

from collections.abc import Sequence
from pathlib import Path

from compat.found import Wanted
from compat.prestartup import run_scripts
from execution.engine import GraphEngine
from execution.workers.child import serve
from launch.arguments import parse_serve
from launch.folders import folders_of
from launch.logs import configure


def worker(arguments: Sequence[str], home: Path) -> int:
    """Serve jobs on the pipes this process was started with, until the server is gone.

    arguments: the folder of its socket, then those of the server."""
    door = Path(arguments[0])
    settings = parse_serve(arguments[1:], home)
    configure(settings.log_level)

    def build() -> GraphEngine:
        folders = folders_of(settings.paths)
        run_scripts(folders.directories("custom_nodes"), Wanted(settings.packs.enabled, settings.packs.whitelist))
        # Imports torch, which takes seconds: only now, when signs of life are being sent.
        from launch.engine import build_engine

        return build_engine(settings, folders, door)

    serve(build)
    return 1  # the pipes closed before anything was served
