"""The table of contents of a safetensors file, read and checked before any tensor is touched.

Format (https://huggingface.co/docs/safetensors): 8 bytes little-endian header length, a JSON object {name: {dtype,
shape, data_offsets}, "__metadata__": {text: text}}, then the bytes of the tensors without gaps. The safetensors library
checks less (numbers of tensors and of dimensions, duplicate names), and says "invalid header" for everything; a person
who has downloaded half a file wants to hear how much is missing.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from diffusion.checkpoints.errors import CheckpointError, Truncated

Shape = tuple[int, ...]

DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Limits:
    """Sizes beyond which a file is refused rather than believed."""

    header_bytes: int = 32 * 2**20
    tensors: int = 200_000
    dimensions: int = 8
    metadata_entries: int = 65_536


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: `start` and `end` count bytes from the end of the header."""

    dtype: torch.dtype
    shape: Shape
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]


def read_header(path: Path, limits: Limits | None = None) -> Header:
    """Read and check the table of contents of a safetensors file.

    Raises CheckpointError, and of these Truncated when bytes are missing.
    """
    limits = limits or Limits()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = _header_length(path, file, size, limits)
        text = file.read(length)
    if len(text) < length:
        raise Truncated(path, have=size, need=8 + length)
    return _parse(path, text, size - 8 - length, limits)


def _header_length(path: Path, file: BinaryIO, size: int, limits: Limits) -> int:
    start = file.read(64)
    disguise = what_it_is_instead(start)
    if disguise:
        raise CheckpointError(path, f"not a safetensors file but {disguise}")
    if size < 8:
        raise Truncated(path, have=size, need=8)
    length = int.from_bytes(start[:8], "little")
    if length > limits.header_bytes:
        raise CheckpointError(
            path, f"header of {length:,} bytes is over the limit of {limits.header_bytes:,}; not a safetensors file?"
        )
    if length < 2:
        raise CheckpointError(path, f"header of {length} bytes; not a safetensors file, or one that was overwritten")
    if 8 + length > size:
        raise Truncated(path, have=size, need=8 + length)
    file.seek(8)
    return length


def what_it_is_instead(start: bytes) -> str | None:
    """Name the usual impostors by their first bytes; None when there is nothing to say."""
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page; the download went to a login or error page instead of the file"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer; fetch the real file with `git lfs pull`"
    if start.startswith(b"PK\x03\x04"):
        return "a zip archive (perhaps a .ckpt or .pt file with the wrong extension)"
    if start.startswith(b"GGUF"):
        return "a GGUF file; give it the extension .gguf"
    if text.startswith((b'{"', b"{'", b"[")):
        return "a JSON text; the download may hold an error message"
    return None


class _DuplicateName(ValueError):
    pass


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateName(next(name for name, _ in pairs if name in seen or seen.add(name)))
    return table


def _parse(path: Path, text: bytes, data_size: int, limits: Limits) -> Header:
    if not text.startswith(b"{"):
        raise CheckpointError(path, "the header does not begin with '{'; not a safetensors file")
    try:
        table = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except UnicodeDecodeError as error:
        raise CheckpointError(path, f"the header is not UTF-8 (byte {error.start})") from error
    except _DuplicateName as error:
        raise CheckpointError(path, f"the header names {str(error)!r} twice") from error
    except RecursionError as error:
        raise CheckpointError(path, "the header is nested too deeply") from error
    except ValueError as error:
        raise CheckpointError(path, f"the header is not JSON ({error})") from error
    metadata = _metadata(path, table.pop("__metadata__", {}), limits)
    if len(table) > limits.tensors:
        raise CheckpointError(path, f"{len(table):,} tensors are over the limit of {limits.tensors:,}")
    entries = {name: _entry(path, name, value, limits) for name, value in table.items()}
    _check_coverage(path, entries, len(text), data_size)
    return Header(entries, metadata)


def _metadata(path: Path, found: Any, limits: Limits) -> dict[str, str]:
    if not isinstance(found, dict):
        raise CheckpointError(path, "the header's __metadata__ is not an object")
    metadata = cast(dict[str, Any], found)
    if len(metadata) > limits.metadata_entries:
        raise CheckpointError(
            path, f"{len(metadata):,} metadata entries are over the limit of {limits.metadata_entries:,}"
        )
    wrong = next((key for key, value in metadata.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise CheckpointError(path, f"metadata {wrong!r} is not a text")
    return cast(dict[str, str], metadata)


def _entry(path: Path, name: str, found: Any, limits: Limits) -> Entry:
    if not isinstance(found, dict) or set(cast(dict[str, Any], found)) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(path, f"tensor {name!r}: expected dtype, shape and data_offsets in the header")
    entry = cast(dict[str, Any], found)
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise CheckpointError(path, f"tensor {name!r}: unknown dtype {entry['dtype']!r}; known are {', '.join(DTYPES)}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise CheckpointError(
            path, f"tensor {name!r}: shape {shape!r} or offsets {offsets!r} are not whole numbers >= 0"
        )
    if len(shape) > limits.dimensions:
        raise CheckpointError(
            path, f"tensor {name!r}: {len(shape)} dimensions are over the limit of {limits.dimensions}"
        )
    start, end = offsets
    expected = math.prod(shape) * dtype.itemsize
    if end - start != expected:
        raise CheckpointError(
            path,
            f"tensor {name!r}: {entry['dtype']} {shape} takes {expected:,} bytes, the header gives it {end - start:,}",
        )
    return Entry(dtype, tuple(shape), start, end)


def _are_sizes(found: Any) -> bool:
    # `type is int` rather than isinstance: JSON's true is an int to Python.
    return isinstance(found, list) and all(type(item) is int and item >= 0 for item in cast(list[Any], found))


def _check_coverage(path: Path, entries: Mapping[str, Entry], header_size: int, data_size: int) -> None:
    """The tensors must tile the data without gaps or overlaps; a lie here would let two names share bytes."""
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != position:
            kind = "overlaps the tensor before it" if entry.start < position else "leaves a gap before it"
            raise CheckpointError(path, f"tensor {name!r} {kind} (starts at {entry.start:,}, expected {position:,})")
        position = entry.end
    if position > data_size:
        raise Truncated(path, have=8 + header_size + data_size, need=8 + header_size + position)
    if position < data_size:
        raise CheckpointError(path, f"{data_size - position:,} bytes follow the last tensor; the file is damaged")
