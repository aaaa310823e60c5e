"""The language of the pipe: frames of a JSON header and the bytes that do not fit into it.

A frame is two big-endian 32-bit lengths, the header `[message, [length of each blob]]`, and the blobs, end to end.
Messages are the dataclasses of `messages.py`. Whoever reads checks the lengths first and the types afterwards, so a
confused peer costs an error and not the memory.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO, Generic, TypeVar, cast

from execution.workers.codec import Blobs, Malformed, codec

PREFIX = struct.Struct(">II")
LARGEST = 256 * 2**20
_SIZES = codec(tuple[int, ...], "lengths of blobs")

Message = TypeVar("Message")


class FrameTooLarge(ValueError):
    def __init__(self, size: int, limit: int):
        self.size, self.limit = size, limit
        super().__init__(f"a message of {size:,} bytes is over the limit of {limit:,} bytes between server and worker")


class Unfit(TypeError):
    """A message holds something that is not plain data. reason: what, in the words of the encoder."""

    def __init__(self, message: object, reason: str):
        self.reason = reason
        super().__init__(f"{type(message).__name__} holds what cannot cross a process: {reason}")


class Frames(Generic[Message]):
    """Packs and unpacks messages of one union type. limit: bytes of a whole frame."""

    def __init__(self, kind: Any, limit: int = LARGEST):
        self._codec = codec(kind)
        self._limit = limit
        self._dumps = json.JSONEncoder(separators=(",", ":"), default=_mapping_as_dict).encode
        self._dumps_anything = json.JSONEncoder(separators=(",", ":"), default=_text, skipkeys=True).encode

    def pack(self, message: Message, lenient: bool = False) -> bytes:
        """One frame. lenient: what is not plain is sent as its text. Raises Unfit or FrameTooLarge."""
        blobs: Blobs = []
        dumps = self._dumps_anything if lenient else self._dumps
        try:
            header = dumps([self._codec.plain(message, blobs), [len(blob) for blob in blobs]]).encode()
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise Unfit(message, str(error)) from error
        lengths = len(header), sum(map(len, blobs))
        self._check(*lengths)
        return b"".join([PREFIX.pack(*lengths), header, *blobs])

    def lengths(self, prefix: bytes) -> tuple[int, int]:
        """The lengths of header and blobs. Raises FrameTooLarge."""
        header, blobs = PREFIX.unpack(prefix)
        self._check(header, blobs)
        return header, blobs

    def unpack(self, header: bytes, tail: bytes) -> Message:
        """Raises Malformed."""
        try:
            plain = json.loads(header)
        except (ValueError, RecursionError) as error:
            raise Malformed("frame", "JSON", header[:80]) from error
        match plain:
            case [message, sizes]:
                return self._codec.decode(message, _split(tail, _SIZES.decode(sizes, ())))
            case _:
                raise Malformed("frame", "a message and the lengths of its blobs", header[:80])

    def read(self, file: BinaryIO) -> Message | None:
        """The next message of a blocking file; None at its end, also at an end within a frame."""
        prefix = file.read(PREFIX.size)
        if len(prefix) < PREFIX.size:
            return None
        header_size, tail_size = self.lengths(prefix)
        header, tail = file.read(header_size), file.read(tail_size)
        if len(header) < header_size or len(tail) < tail_size:
            return None
        return self.unpack(header, tail)

    def _check(self, header: int, blobs: int) -> None:
        if header + blobs > self._limit:
            raise FrameTooLarge(header + blobs, self._limit)


def _mapping_as_dict(value: object) -> dict[Any, Any]:
    # Read-only mappings stand in declarations; only real dicts are JSON to the encoder.
    if hasattr(value, "keys"):
        return dict(cast(Any, value))
    raise TypeError(f"{type(value).__name__} {repr(value)[:80]}")


def _text(value: object) -> Any:
    try:
        return _mapping_as_dict(value)
    except Exception:
        return repr(value)[:200]


def _split(tail: bytes, sizes: Sequence[int]) -> Blobs:
    if sum(sizes) != len(tail) or min(sizes, default=0) < 0:
        raise Malformed("frame", f"blobs of {len(tail)} bytes together", sizes)
    blobs: Blobs = []
    start = 0
    for size in sizes:
        blobs.append(tail[start : start + size])
        start += size
    return blobs
