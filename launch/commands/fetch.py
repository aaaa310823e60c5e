"""`main.py fetch tokenizer NAME`: gets a tokeniser's file from its publisher and puts it where text encoders look.

Exit codes: 0 it is there, 1 it could not be fetched, 2 wrong usage.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diffusion.text.tokenizers import KNOWN, Published
from launch.arguments import Parser, add_paths, paths_from
from launch.folders import TOKENIZERS, BadModelPaths, folders_of

DONE, FAILED, WRONG = 0, 1, 2

Download = Callable[[str, str], str]
"""(repository, file) -> where the file lies now. Raises OSError, or ValueError, where it cannot be had."""


def fetch(arguments: Sequence[str], home: Path, download: Download | None = None) -> int:
    """Runs the command. download: None is the Hugging Face hub's."""
    parser = Parser(prog="main.py fetch", description="Fetch a file that some models need and that is published apart.")
    parser.add_argument("what", choices=["tokenizer"])
    parser.add_argument("name", choices=sorted(KNOWN))
    add_paths(parser)
    parsed = parser.parse_args(arguments)
    try:
        folders = folders_of(paths_from(parsed, home))
    except BadModelPaths as error:
        print(error, file=sys.stderr)
        return WRONG
    published = KNOWN[parsed.name]
    target = folders.models / TOKENIZERS / parsed.name / published.files[0]
    if target.is_file():
        print(f"{target} is there already")
        return DONE
    try:
        found = (download or from_hub)(published.repository, published.files[0])
        put(Path(found), target)
    except (OSError, ValueError) as error:
        print(advice(published, target, error), file=sys.stderr)
        return FAILED
    print(f"fetched {target}")
    return DONE


def from_hub(repository: str, file: str) -> str:
    """Downloads a file into the hub's own cache; the path there."""
    import huggingface_hub

    hub: Any = huggingface_hub  # its overloads are only partly annotated
    return hub.hf_hub_download(repository, file)


def put(found: Path, target: Path) -> None:
    """A copy that appears under its name only when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    shutil.copyfile(found, unfinished)
    unfinished.replace(target)


def advice(published: Published, target: Path, error: Exception) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return (
        f"{published.files[0]} could not be fetched: {reason}\n"
        f"Get it from https://huggingface.co/{published.repository} in a browser and put it at {target}"
    )
