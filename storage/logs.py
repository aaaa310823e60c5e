"""The last lines of the log, kept for those who look at it in the editor."""

import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

KEPT = 300


@dataclass(frozen=True, slots=True)
class LogEntry:
    """number: counts up from 0 through the life of the program. time: ISO 8601, UTC."""

    number: int
    time: str
    text: str

    def shown(self) -> dict[str, str]:
        return {"t": self.time, "m": self.text}


class RecentLogs(logging.Handler):
    """A handler that keeps the last lines. Readers ask; nobody is called from a logging thread."""

    def __init__(self, kept: int = KEPT):
        super().__init__()
        self._entries: deque[LogEntry] = deque(maxlen=kept)
        self._next = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        time = datetime.fromtimestamp(record.created, UTC).isoformat()
        self._entries.append(LogEntry(self._next, time, text))  # `handle` holds the lock
        self._next += 1

    def entries(self, since: int = 0) -> list[LogEntry]:
        """What is still kept of the lines numbered `since` and above."""
        self.acquire()
        try:
            return [entry for entry in self._entries if entry.number >= since]
        finally:
            self.release()
