"""Stands where a name was asked for that is not promised: it can be subclassed, annotated with and looked into, and
fails with a sentence when it is used.

While a pack is being imported it may also be called (packs decorate with what they import, and build things at the top
of their modules): what comes out is a placeholder again.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_loading: ContextVar[bool] = ContextVar("loading", default=False)


class NotPromised(NotImplementedError):
    """A name that exists so that its pack loads was used."""

    def __init__(self, name: str):
        self.name = name
        super().__init__(
            f"{name} is not offered here: the nodes that need it cannot run, the others of their pack can; "
            "compat/README.md lists what is promised"
        )


@contextmanager
def loading() -> Generator[None]:
    """Inside, placeholders are patient: a pack is being imported or asked what its nodes look like."""
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)


class _Patient(type):
    """The class of placeholders, which are classes themselves, so that they can be inherited from."""

    _full_name: str

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.__dict__.get("_full_name") is None:
            # A class of the pack's own that inherits from a placeholder.
            if not _loading.get():
                raise NotPromised(cls._full_name)
            return super().__call__()
        if not _loading.get():
            raise NotPromised(cls._full_name)
        if len(args) == 1 and not kwargs and callable(args[0]) and not isinstance(args[0], _Patient):
            return args[0]  # used as a decorator
        return placeholder(f"{cls._full_name}(…)")

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return placeholder(f"{cls._full_name}.{name}")

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __len__(cls) -> int:
        return 0

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, key: object) -> Any:
        return placeholder(f"{cls._full_name}[…]")

    def __contains__(cls, key: object) -> bool:
        return False

    def __repr__(cls) -> str:
        return f"<{cls._full_name}: not offered here>"


def placeholder(name: str) -> Any:
    """name: in full, for the sentence."""
    short = name.rpartition(".")[2]
    return _Patient(short, (), {"_full_name": name, "__module__": name.rpartition(".")[0], "__init__": _nothing})


def _nothing(self: object, *args: object, **kwargs: object) -> None:
    """Takes what a subclass hands to its base while a pack loads."""
