"""Opens weights files: names and shapes first, tensors mapped when they are asked for, never copied."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.gguf import read_gguf
from diffusion.checkpoints.header import Limits, read_header
from diffusion.checkpoints.pickled import read_pickle, unwrap
from diffusion.checkpoints.scaled import unscaled
from diffusion.checkpoints.weights import Source, Weights

SAFETENSORS = (".safetensors", ".sft")
PICKLES = (".ckpt", ".pt", ".pth", ".bin")
GGUF = (".gguf",)
INDEX = ".index.json"


@dataclass(frozen=True)
class Checkpoint:
    """An opened file, or the shards that together make one."""

    path: Path
    weights: Weights
    metadata: Mapping[str, str]
    identity: tuple[object, ...]
    """Equal for two openings exactly if the files were the same; hashable."""


def open_checkpoint(path: str | Path, limits: Limits | None = None) -> Checkpoint:
    """Open a weights file (or a `….index.json` beside its shards).

    Raises CheckpointError, which names the file and what is wrong with it, and FileNotFoundError.
    """
    path = Path(path)
    if path.name.endswith(INDEX):
        return _open_shards(path, limits)
    if path.suffix.lower() in SAFETENSORS or _is_disguised_safetensors(path):
        return _open_safetensors(path, limits)
    if path.suffix.lower() in GGUF:
        weights, metadata = read_gguf(path)
        return Checkpoint(path, weights, metadata, file_identity(path))
    if path.suffix.lower() in PICKLES:
        identity = file_identity(path)
        return Checkpoint(path, Weights.of(unwrap(path, read_pickle(path))), {}, identity)
    raise CheckpointError(path, f"unknown kind of file; expected one of {', '.join(SAFETENSORS + PICKLES + GGUF)}")


def _is_disguised_safetensors(path: Path) -> bool:
    """A safetensors file saved under one of the older extensions: a length, then an object, as no pickle begins."""
    if path.suffix.lower() not in PICKLES:
        return False
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 2**32


def _open_safetensors(path: Path, limits: Limits | None) -> Checkpoint:
    before = file_identity(path)
    header = read_header(path, limits)
    try:
        # Pages are private and read on first touch: writing to a tensor does not reach the file.
        mapped: Any = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise CheckpointError(path, f"refused by the safetensors library ({error})") from error
    if file_identity(path) != before:
        raise CheckpointError(path, "was replaced while it was being opened; try again")
    sources = {
        name: Source(entry.shape, entry.dtype, lambda name=name: mapped.get_tensor(name))
        for name, entry in header.entries.items()
    }
    return Checkpoint(path, unscaled(Weights(sources)), header.metadata, before)


def file_identity(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced: inode, time of last change in nanoseconds, size in bytes."""
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _open_shards(path: Path, limits: Limits | None) -> Checkpoint:
    """An index is {"weight_map": {tensor: file beside the index}}, as transformers and diffusers write it."""
    try:
        index: Any = json.loads(path.read_text(encoding="utf-8"))
        table = cast(dict[str, str], index["weight_map"])
        files = sorted(set(table.values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(path, "expected a JSON object with a `weight_map` from tensors to files") from error
    weights, metadata, identity = Weights({}), dict[str, str](), tuple[object, ...]()
    for name in files:
        if Path(name).name != name:
            raise CheckpointError(path, f"shard {name!r} lies outside the folder of the index")
        if not (path.parent / name).exists():
            raise CheckpointError(path, f"missing shard {name!r}, one of {len(files)}; put it beside the index")
        shard = open_checkpoint(path.parent / name, limits)
        weights = weights.joined(shard.weights)
        metadata |= shard.metadata
        identity += shard.identity
    missing = [name for name in table if name not in weights]
    if missing:
        raise CheckpointError(path, f"{len(missing)} tensors are in no shard, for instance {missing[0]!r}")
    return Checkpoint(path, weights, metadata, identity)
