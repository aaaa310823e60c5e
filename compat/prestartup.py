"""`prestartup_script.py` of packs: run before torch is imported, so that they can set what it reads then."""

import logging
import runpy
import time
from collections.abc import Iterable
from pathlib import Path

from compat.found import Wanted, candidates

log = logging.getLogger(__name__)

SCRIPT = "prestartup_script.py"


def run_scripts(directories: Iterable[Path], wanted: Wanted) -> None:
    """Run the script of every pack that has one. Never raises for what one does: its pack is loaded all the same."""
    for pack in candidates(directories, wanted):
        run_script(pack)


def run_script(pack: Path) -> None:
    """Run the script of one pack, if it has one. Never raises for what it does."""
    script = pack / SCRIPT
    if not script.is_file():
        return
    began = time.perf_counter()
    try:
        runpy.run_path(str(script), run_name=f"{pack.name}.prestartup_script")
    except BaseException:  # someone else's code, which may even exit
        log.exception("pack %s: %s failed; the pack is loaded all the same", pack.name, SCRIPT)
    else:
        log.info("pack %s: %s ran in %.2f s", pack.name, SCRIPT, time.perf_counter() - began)
