"""What a node's signature can say beside plain types, as metadata of `Annotated`.

width: Annotated[int, Number(1, 16384, step=1)] = 512
ckpt_name: Annotated[str, Choice.of("checkpoints")]
mask: Mask | None = None                     an optional socket
count: Annotated[int, Number(0), OPTIONAL] = 0   an optional widget
outputs: Given[Outputs]                      a capability, not an input
ratios: Annotated[Mapping[str, float], Each(["in.0.", "out."], 1.0)]   an input per name, gathered
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Final, TypeVar


@dataclass(frozen=True, slots=True)
class Socket:
    """A value that only another node can make.

    read: what arrives → what the function gets, refusing what does not belong with a sentence (`ValueError`). It may
    give a view of another shape, and must not change its argument.
    """

    type: str
    read: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """Limits and presentation of an int or a float. `reroll`: the page may change it after each run, as with seeds."""

    min: float | None = None
    max: float | None = None
    step: float | None = None
    round: float | bool | None = None
    display: str | None = None
    reroll: bool = False


SEED: Final = Number(0, 2**64 - 1, reroll=True)


@dataclass(frozen=True, slots=True, eq=False)  # marks in `X | None` must be hashable
class Choice:
    """One of a list. `listing` names a source asked afresh each time; `classic` overrides how the list is shown."""

    choices: Sequence[str] = ()
    listing: str | None = None
    classic: bool | None = None
    names_file: bool = False

    @classmethod
    def of(cls, listing: str, *, names_file: bool = False) -> "Choice":
        return cls(listing=listing, names_file=names_file)


@dataclass(frozen=True, slots=True)
class Text:
    """How a string is edited. `dynamic`: the page picks one of `{a|b}` when it queues."""

    multiline: bool | None = None
    dynamic: bool = False


PROMPT: Final = Text(multiline=True, dynamic=True)


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Further keys for the page, passed on as they are."""

    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Each:
    """Required inputs of one kind, by names that need not be identifiers. `Mapping[str, kind]` gathers their values."""

    names: Sequence[str]
    default: Any


class Mark(Enum):
    """Marks without arguments."""

    OPTIONAL = "optional"
    LAZY = "lazy"
    GIVEN = "given"


OPTIONAL: Final = Mark.OPTIONAL
LAZY: Final = Mark.LAZY

T = TypeVar("T")
Given = Annotated[T, Mark.GIVEN]
"""A capability handed in by whoever runs the node; tests hand in a fake."""


@dataclass(frozen=True, slots=True)
class Out:
    """The name an output shows; without one it is called as its type."""

    name: str


@dataclass(frozen=True, slots=True)
class Ui:
    """What an output node shows on the page, lists by key ("images", "text", "latents", "animated")."""

    entries: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
