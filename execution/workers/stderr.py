"""Turns what a worker process prints into log lines that cannot flood the log nor command the terminal."""

import logging
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

PER_SECOND = 200  # lines
LONGEST = 4096  # bytes of one line
LAST = 20  # lines remembered for the reason of a death

# Control characters but the tab, spelled out: a node may print escapes that move the cursor or rename the window.
ESCAPES = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(0x7F, 0xA0)) if code != 9}


class LineLog:
    """feed it bytes as they come; it calls `write` with lines. clock: seconds."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self._write = write
        self._clock = clock
        self._rest = b""
        self._cut = False
        self._window = clock()
        self._written = 0
        self._left_out = 0
        self.last: deque[str] = deque(maxlen=LAST)

    def feed(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0] = self._rest + lines[0]
            self._rest, self._cut = b"", False
            self._take(lines)
        if not self._cut:
            self._rest += rest
        if len(self._rest) > LONGEST:
            self._rest, self._cut = self._rest[:LONGEST], True

    def close(self) -> None:
        """Write what is left."""
        if self._rest:
            self._take([self._rest])
            self._rest = b""
        self._account()

    def _take(self, lines: list[bytes]) -> None:
        if self._clock() - self._window >= 1:
            self._account()
        room = PER_SECOND - self._written
        for line in lines[:room]:
            if text := _clean(line):
                self.last.append(text)
                self._written += 1
                self._write(text)
        # Of a flood only the end is looked at: it may be the reason of a death.
        self._left_out += len(lines[room:])
        self.last.extend(text for line in lines[room:][-LAST:] if (text := _clean(line)))

    def _account(self) -> None:
        """Begin another second."""
        if self._left_out:
            self._write(f"({self._left_out:,} more lines were left out)")
        self._window, self._written, self._left_out = self._clock(), 0, 0


def _clean(line: bytes) -> str:
    # Progress bars rewrite their line after each return: only the last state is worth a line.
    text = line.rstrip(b"\r")[:LONGEST].decode("utf-8", "backslashreplace").rsplit("\r", 1)[-1]
    return text.translate(ESCAPES).rstrip()
