"""What packs bring besides nodes, as the server knows it: plain data; and the side of a worker that holds the rest."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from execution.events import Event
from execution.job import Job


@dataclass(frozen=True, slots=True)
class PackRoute:
    """An address a pack answers. method: "*" is any. pattern: a regular expression that the whole path matches."""

    method: str
    pattern: str

    def takes(self, method: str, path: str) -> bool:
        if self.method not in ("*", method) and not (method == "HEAD" and self.method == "GET"):
            return False
        return re.fullmatch(self.pattern, path) is not None


@dataclass(frozen=True, slots=True)
class Door:
    """Where a worker answers requests to packs: a unix socket in a private folder, or a port of this machine that
    wants the secret with every request."""

    socket: str | None = None
    port: int | None = None
    secret: str = ""


@dataclass(frozen=True, slots=True)
class PackFacts:
    """web: name under `/extensions/` → folder of scripts. door: None while nobody answers. handles_prompts: packs want
    to see prompts before they are checked."""

    web: Mapping[str, str] = field(default_factory=dict[str, str])
    routes: Sequence[PackRoute] = ()
    door: Door | None = None
    handles_prompts: bool = False

    def answers(self, method: str, path: str) -> bool:
        return any(route.takes(method, path) for route in self.routes)


@dataclass(frozen=True, slots=True)
class Wishes:
    """As `POST /free` asks."""

    unload_models: bool = False
    free_memory: bool = False


class PackSide(Protocol):
    """The packs of a worker. Asked from any thread."""

    def facts(self) -> PackFacts: ...

    def handle(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the packs make of a prompt's whole body. Never raises for what one of them does."""
        ...

    def speak(self, tell: Callable[[Event], None]) -> None:
        """From now on, what packs send to clients goes there."""
        ...

    def begin(self, job: Job) -> None: ...

    def end(self, job: Job) -> Wishes:
        """What packs asked for since the last job ended."""
        ...
