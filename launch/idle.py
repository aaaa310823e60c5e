"""Gives memory back when no job has run for a while."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


class WhenIdle:
    """Calls something once no job has run for so many seconds, and again after every later job. seconds: None for
    never. timer: makes one that can be started and cancelled, as `threading.Timer`."""

    def __init__(
        self,
        seconds: float | None,
        call: Callable[[], None],
        timer: Callable[[float, Callable[[], None]], threading.Timer] = threading.Timer,
    ):
        self._seconds, self._call, self._timer = seconds, call, timer
        self._waiting: threading.Timer | None = None

    @contextmanager
    def job(self) -> Generator[None]:
        """Around every job."""
        if self._waiting is not None:
            self._waiting.cancel()
        try:
            yield
        finally:
            if self._seconds is not None:
                self._waiting = self._timer(self._seconds, self._call)
                self._waiting.daemon = True
                self._waiting.start()
