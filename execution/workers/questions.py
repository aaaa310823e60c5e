"""Answers questions while a job runs, and goes on answering when one of them never comes back.

A pack's validator may hang. Questions are answered one at a time on one thread; when a new one comes and the present
one has overstayed its deadline, it is left behind with its thread and a new thread takes the rest.
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
        self._current: object = None  # whose turn it is; a thread that finds another's name here ends itself
        self._overdue_at = float("inf")
        self._closed = False

    def ask(self, deadline: float, work: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append((deadline, work))
            stuck = time.monotonic() > self._overdue_at and self._threads <= MOST_STUCK
            if self._current is None or stuck:
                self._current = turn = object()
                self._overdue_at = float("inf")
                self._threads += 1
                threading.Thread(target=self._answer, args=(turn,), name=self._name, daemon=True).start()
            self._lock.notify()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _answer(self, turn: object) -> None:
        while True:
            with self._lock:
                if self._current is turn:
                    self._overdue_at = float("inf")
                    self._lock.wait_for(lambda: self._waiting or self._closed or self._current is not turn)
                if self._closed or self._current is not turn:
                    self._threads -= 1
                    return
                deadline, work = self._waiting.popleft()
                self._overdue_at = time.monotonic() + deadline
            work()
