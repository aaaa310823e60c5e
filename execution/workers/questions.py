"""Answers questions while a job runs, and goes on answering when one of them never comes back.

A pack's validator may hang. Questions are answered one at a time on one thread; when one waits and the present one
has overstayed its deadline, that is left behind with its thread and a new thread takes the rest.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

# A stuck thread is a leak. After so many, further questions wait (and run into their deadlines) until one returns.
MOST_STUCK = 8


class Answerer:
    """ask(deadline, work): call `work` soon on another thread. deadline: seconds it may take. Work must not raise."""

    def __init__(self, name: str = "questions"):
        self._name = name
        self._lock = threading.Condition()
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._threads = 0
        self._turn: object = None  # whose turn it is; a thread that finds another's here ends itself
        self._due = float("inf")  # when the present question will have overstayed
        self._closed = False

    def ask(self, deadline: float, work: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append((deadline, work))
            self._lock.notify()
        self._relieve()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _relieve(self) -> None:
        """Start a thread if one is wanted and there is none, or the present one is stuck."""
        with self._lock:
            if self._closed or not self._waiting or self._threads > MOST_STUCK:
                return
            if self._turn is None or time.monotonic() >= self._due:
                self._turn = turn = object()
                self._due = float("inf")
                self._threads += 1
                threading.Thread(target=self._answer, args=(turn,), name=self._name, daemon=True).start()

    def _answer(self, turn: object) -> None:
        while True:
            with self._lock:
                if self._turn is turn:
                    self._due = float("inf")
                    self._lock.wait_for(lambda: self._waiting or self._closed or self._turn is not turn)
                if self._closed or self._turn is not turn:
                    self._threads -= 1
                    return
                deadline, work = self._waiting.popleft()
                self._due = time.monotonic() + deadline
            overdue = threading.Timer(deadline, self._relieve)
            overdue.daemon = True
            overdue.start()
            work()
            overdue.cancel()
