"""Tokenisers of text encoders other than CLIP: out of the encoder's file, a folder of models, or an installed package.

None of these files is part of this project. `KNOWN` says for each where its publisher keeps it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

EMBEDDED = "spiece_model"
"""A tensor of bytes in some text encoders' files: their sentencepiece model."""


class TokenizerMissing(RuntimeError):
    """There is no tokeniser for a text encoder. The message says which file to put where, and what fetches it."""


class TextTokenizer(Protocol):
    def ids(self, text: str) -> list[int]:
        """The ids of a text, without those that begin and end a prompt."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """Where a tokeniser is published."""

    what: str
    """For messages."""
    repository: str
    """On the Hugging Face hub."""
    files: tuple[str, ...]
    """Names the file may have; the first is the one to fetch."""
    package: tuple[str, str] | None = None
    """An installable package that carries the file among its data, and its place there."""


KNOWN: Mapping[str, Published] = {
    "t5": Published(
        "T5",
        "google/t5-v1_1-xxl",
        ("spiece.model", "tokenizer.json"),
        ("diffsynth", "tokenizer_configs/flux/tokenizer_2/spiece.model"),
    ),
    "pile_t5": Published("Pile-T5", "EleutherAI/pile-t5-xl", ("tokenizer.json", "tokenizer.model")),
    "gemma2": Published("Gemma 2", "google/gemma-2-2b", ("tokenizer.model", "tokenizer.json")),
    "qwen25": Published("Qwen2.5", "Qwen/Qwen2.5-VL-7B-Instruct", ("tokenizer.json",)),
    "qwen3": Published("Qwen3", "Qwen/Qwen3-4B", ("tokenizer.json",)),
}


class SentencePiece:
    """A sentencepiece model (arXiv:1808.06226)."""

    def __init__(self, model: bytes):
        import sentencepiece

        self._processor: Any = sentencepiece.SentencePieceProcessor(model_proto=model)

    def ids(self, text: str) -> list[int]:
        return self._processor.encode(text)


class JsonTokenizer:
    """A `tokenizer.json`, as the tokenizers library writes it."""

    def __init__(self, content: str):
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(content)

    def ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


@dataclass
class LazyTokenizer:
    """Opened when the first prompt comes: a model can be loaded, merged and saved without its tokeniser."""

    find: Callable[[], TextTokenizer]
    _found: TextTokenizer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ids(self, text: str) -> list[int]:
        with self._lock:
            if self._found is None:
                self._found = self.find()
        return self._found.ids(text)


@dataclass(frozen=True)
class TokenizerFolders:
    """Where tokenisers are looked for: `<folder>/<name>/<file>`, or `<folder>/<file>` for T5's `spiece.model`."""

    folders: Sequence[Path] = ()
    """The last one is where `fetch` puts them."""

    def open(self, name: str, embedded: Tensor | None = None) -> TextTokenizer:
        """The tokeniser of this name. embedded: what the encoder's own file says. Raises TokenizerMissing."""
        if embedded is not None:
            return SentencePiece(bytes(embedded.cpu().numpy().tobytes()))
        published = KNOWN[name]
        for path in self._places(name, published):
            if path.is_file():
                return _open(path)
        raise TokenizerMissing(self._advice(name, published))

    def _places(self, name: str, published: Published) -> Iterator[Path]:
        for folder in self.folders:
            yield from (folder / name / file for file in published.files)
            yield from (folder / file for file in published.files if file == "spiece.model")
        if published.package:
            yield from _in_package(*published.package)

    def _advice(self, name: str, published: Published) -> str:
        folder = self.folders[-1] if self.folders else Path("models/tokenizers")
        file = published.files[0]
        return (
            f"the tokeniser of {published.what} was not found; `python main.py fetch tokenizer {name}` fetches it. "
            f"Or put {file} of {published.repository} (huggingface.co) at {folder / name / file}"
        )


def _open(path: Path) -> TextTokenizer:
    if path.suffix == ".json":
        return JsonTokenizer(path.read_text(encoding="utf-8"))
    return SentencePiece(path.read_bytes())


def _in_package(package: str, place: str) -> Iterator[Path]:
    """The file among a package's data; the package itself is never imported."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return
    yield from (Path(str(file.locate())) for file in files if str(file).endswith(place))
