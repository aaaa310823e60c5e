"""Reads `.ckpt`, `.pt`, `.pth` and `.bin` files with torch's weights-only unpickler, so that a file cannot run code.

Checkpoints written by training frameworks hold optimiser and logger objects beside the weights. The few classes that
well-known published files name are replaced by an inert stand-in, so that the rest of such a file can be read.
"""

import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.header import what_it_is_instead

# Names seen in published files. None of them is imported: all become `_Inert`.
STAND_INS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.utilities.argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.dtypes.Float64DType",
    "_codecs.encode",
    "torch.nn.modules.container.ParameterDict",
)

# The unpickler and the archive reader meet damage with whatever their current instruction raises; a fuzzer found these.
DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    ImportError,
    MemoryError,
    OSError,
    struct.error,
    zipfile.BadZipFile,
)


class _Inert:
    """Takes any arguments and state, does nothing with them, and keeps the state for `plain` to look into."""

    def __init__(self, *_: object, **__: object):
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def read_pickle(path: Path) -> Any:
    """The object in a pickled file: nested dictionaries and lists of tensors and numbers; tensors are mapped where
    the file allows it. Raises CheckpointError for damage and for anything that is more than data."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise CheckpointError(path, "the file is empty")
    is_zip = start.startswith(b"PK\x03\x04")
    if not is_zip and (disguise := what_it_is_instead(start)):
        raise CheckpointError(path, f"not a PyTorch file but {disguise}")
    if is_zip:
        _check_archive(path)
    safe: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [(_Inert, name) for name in STAND_INS]
    try:
        with torch.serialization.safe_globals(safe):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise CheckpointError(path, _explain(str(error))) from error
    except DAMAGE as error:
        raise CheckpointError(path, f"damaged or truncated PyTorch file ({_first_line(error)})") from error


def _check_archive(path: Path) -> None:
    """torch stores its records; a compressed one is either a mistake or a bomb."""
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [r.filename for r in archive.infolist() if r.compress_type != zipfile.ZIP_STORED]
    except DAMAGE as error:
        raise CheckpointError(path, f"damaged or truncated PyTorch file ({_first_line(error)})") from error
    if packed:
        raise CheckpointError(path, f"compressed record {packed[0]!r}; not written by torch.save")


def _explain(message: str) -> str:
    for line in message.splitlines():
        if "GLOBAL" in line or "global" in line:
            return f"refused: the file holds more than weights ({line.strip()[:200]}); get a safetensors version"
    return f"refused by the weights-only reader ({message.splitlines()[0][:200]}); get a safetensors version"


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def plain(found: object) -> object:
    """Looks through stand-ins: an old textual inversion keeps its vectors in the state of a ParameterDict."""
    if isinstance(found, _Inert):
        state = found.state
        return cast(dict[str, Any], state).get("_parameters", state) if isinstance(state, dict) else state
    return found


def unwrap(path: Path, found: Any) -> dict[str, Tensor]:
    """The tensors of a pickled checkpoint: under `state_dict`, `params_ema` or `params`, else in the only dictionary
    there is, else at the top. What is not a tensor is left out."""
    for _ in range(4):  # wrappers of wrappers exist; endless ones do not
        table = plain(found)
        if not isinstance(table, Mapping):
            raise CheckpointError(path, f"expected a dictionary of tensors, found {type(found).__name__}")
        entries = cast(Mapping[Any, Any], table)
        inner = next((entries[key] for key in ("state_dict", "params_ema", "params") if key in entries), None)
        if inner is None and len(entries) == 1:
            inner = next(iter(entries.values()))
        if not isinstance(plain(inner), Mapping):
            break
        found = inner
    else:
        entries = cast(Mapping[Any, Any], plain(found))
    tensors = {str(name): value.detach() for name, value in entries.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(
            path, f"holds no tensors (top level: {', '.join(map(str, list(entries)[:8])) or 'empty'})"
        )
    return tensors
