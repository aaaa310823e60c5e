"""What server and worker process say to each other, one frozen dataclass each. Plain data; see `frames.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from execution.events import Event
from execution.job import Job
from execution.packs import PackFacts
from execution.workers.worker import CheckQuestion, Verdict


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message. beat: seconds between signs of life."""

    beat: float


@dataclass(frozen=True, slots=True)
class Run:
    job: Job


@dataclass(frozen=True, slots=True)
class Interrupt:
    prompt_id: str


@dataclass(frozen=True, slots=True)
class Free:
    """Between jobs, in its turn."""

    unload_models: bool
    free_memory: bool


@dataclass(frozen=True, slots=True)
class Expect:
    """Heeded at once: this job will probably be the next to run here."""

    job: Job


@dataclass(frozen=True, slots=True)
class AskCatalogue:
    """id: of the question; its answer carries it back. deadline: seconds until nobody waits for the answer."""

    id: int
    deadline: float


@dataclass(frozen=True, slots=True)
class AskCheck:
    id: int
    deadline: float
    questions: Sequence[CheckQuestion]


@dataclass(frozen=True, slots=True)
class AskSystem:
    id: int
    deadline: float


@dataclass(frozen=True, slots=True)
class AskPacks:
    id: int
    deadline: float


@dataclass(frozen=True, slots=True)
class AskHandlers:
    """body: of a prompt, as it came."""

    id: int
    deadline: float
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AskMemory:
    id: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is built: jobs can run."""


@dataclass(frozen=True, slots=True)
class Alive:
    """Sent at a steady pace; any other message is a sign of life too."""


@dataclass(frozen=True, slots=True)
class Happened:
    """Events of the running job, in order, many at a time."""

    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """declarations: as `execution.catalogue.to_plain` gives them."""

    id: int
    declarations: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdicts:
    id: int
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class System:
    """The answer to AskSystem and AskMemory."""

    id: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Packs:
    id: int
    facts: PackFacts


@dataclass(frozen=True, slots=True)
class Handled:
    """body: as packs want it."""

    id: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CannotSay:
    """The question raised. reason: one sentence."""

    id: int
    reason: str


Question = AskCatalogue | AskCheck | AskSystem | AskMemory | AskPacks | AskHandlers
Answer = Catalogue | Verdicts | System | Packs | Handled | CannotSay
ToWorker = Begin | Run | Interrupt | Free | Expect | Question
FromWorker = Ready | Alive | Happened | Catalogue | Verdicts | System | Packs | Handled | CannotSay
