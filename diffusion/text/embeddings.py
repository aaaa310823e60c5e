"""Textual inversion (arXiv:2208.01618): learned vectors that stand in a prompt as `embedding:name`."""

import glob
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.pickled import plain, read_pickle
from diffusion.checkpoints.read import open_checkpoint
from diffusion.text.problems import PromptProblem

EXTENSIONS = (".safetensors", ".pt", ".bin")
# At the beginning of a stretch of text, or after a space or a line's end; not after a comma.
_NAMED = re.compile(r"(?:\A|(?<=[ \n]))embedding:(\S+)")


class Embeddings(Protocol):
    def has(self, name: str) -> bool:
        """Whether there is something of that name."""
        ...

    def find(self, name: str, encoder: str, width: int) -> Tensor | PromptProblem:
        """The vectors of that name for an encoder of that width, (N, width), or why there are none."""
        ...


@dataclass(frozen=True, slots=True)
class EmbeddingNamed:
    """What stands after `embedding:` up to white space."""

    name: str


def split_embeddings(text: str, has: Callable[[str], bool]) -> Iterator[str | EmbeddingNamed]:
    """Text and named embeddings in order. Commas at the end of a name belong to it only if there is such an embedding;
    else they are text."""
    position = 0
    before = ""
    for found in _NAMED.finditer(text):
        name = found[1] if has(found[1]) else found[1].rstrip(",")
        if not name:
            continue
        before += text[position : found.start()]
        if before.strip():
            yield before.strip()
        yield EmbeddingNamed(name)
        before = found[1][len(name) :]
        position = found.end()
    rest = before + text[position:]
    if rest.strip():
        yield rest.strip()


class NoEmbeddings:
    """Where no folder was given."""

    def has(self, name: str) -> bool:
        return False

    def find(self, name: str, encoder: str, width: int) -> Tensor | PromptProblem:
        return PromptProblem("embedding_missing", f"embedding {name!r} was left out: no folder of embeddings is known")


@dataclass(frozen=True)
class EmbeddingFolders:
    """Embeddings by file name in folders and their sub-folders; the extension may be left out."""

    folders: tuple[Path, ...]

    def has(self, name: str) -> bool:
        return self.path(name) is not None

    def path(self, name: str) -> Path | None:
        """The file of that name; `style/ink` means the sub-folder `style`. No name leads out of the folders."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or any(part in ("..", "/") or ":" in part or "\0" in part for part in parts):
            return None
        wanted = Path(*parts)
        suffixes = ("", *EXTENSIONS) if wanted.suffix.lower() in EXTENSIONS else EXTENSIONS
        for folder in self.folders:
            for suffix in suffixes:
                if (direct := folder / f"{wanted}{suffix}").is_file():
                    return direct
        for folder in self.folders:
            for suffix in suffixes:
                name_here = f"{wanted.name}{suffix}"
                deeper = (path for path in sorted(folder.rglob(glob.escape(name_here))) if path.is_file())
                if found := next((path for path in deeper if path.parts[-len(parts) : -1] == parts[:-1]), None):
                    return found
        return None

    def find(self, name: str, encoder: str, width: int) -> Tensor | PromptProblem:
        path = self.path(name)
        if path is None:
            return PromptProblem("embedding_missing", f"embedding {name!r} was left out: there is no such file")
        try:
            vectors = read_embedding(path, encoder, width)
        except CheckpointError as error:
            return PromptProblem("embedding_unreadable", f"embedding {name!r} was left out: {error}")
        if vectors.shape[-1] != width:
            return PromptProblem(
                "embedding_width",
                f"embedding {name!r} was left out for {encoder}: its vectors are {vectors.shape[-1]} wide, "
                f"the text encoder's {width}; it was made for another model",
            )
        if not vectors.isfinite().all():
            return PromptProblem("embedding_unreadable", f"embedding {name!r} was left out: it holds NaN or infinity")
        return vectors


def read_embedding(path: Path, encoder: str, width: int) -> Tensor:
    """The vectors of a textual inversion file for one text encoder, (N, D) in float32; D is the file's, right or wrong.

    Layouts: one tensor per encoder (`clip_l`, `clip_g`, …); the original `string_to_param`; a bundle of these; a list
    of tensors, of which those of the right width count; else whatever tensor comes first. Raises CheckpointError.
    """
    if path.suffix.lower() == ".safetensors":
        found: object = dict(open_checkpoint(path).weights)
    else:
        found = read_pickle(path)
    tensors = _tensors(found, encoder, width)
    if not tensors or any(tensor.ndim not in (1, 2) for tensor in tensors):
        raise CheckpointError(path, "not a textual inversion: expected vectors, (N, D)")
    return torch.cat([tensor.detach().float().reshape(-1, tensor.shape[-1]) for tensor in tensors])


def _tensors(found: object, encoder: str, width: int) -> list[Tensor]:
    found = plain(found)
    if isinstance(found, Tensor):
        return [found]
    if isinstance(found, Sequence) and not isinstance(found, str):
        each = [_tensors(item, encoder, width) for item in cast(Sequence[object], found)]
        return [tensor for tensors in each for tensor in tensors if tensor.shape[-1:] == (width,)]
    if not isinstance(found, Mapping):
        return []
    table = cast(Mapping[str, Any], found)
    bundled = (name for name in table if name.startswith("bundle_emb.") and ".string_to_param." in name)
    for key in ("string_to_param", encoder, next(bundled, None)):
        if key is not None and key in table:
            inner = plain(table[key])
            return _tensors(_first(inner) if key == "string_to_param" else inner, encoder, width)
    return [value for value in table.values() if isinstance(value, Tensor)][:1]


def _first(found: object) -> object:
    return next(iter(cast(Mapping[str, object], found).values()), None) if isinstance(found, Mapping) else found
