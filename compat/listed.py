"""Lists of files that remember what they list, so that the server can list it afresh in their place."""

from collections.abc import Iterable


class Listed(list[str]):
    """kind: of model, or a named listing of user files. A copy that was added to is an ordinary list."""

    def __init__(self, names: Iterable[str], kind: str):
        super().__init__(names)
        self.kind = kind
        self._original = tuple(self)

    @property
    def is_untouched(self) -> bool:
        return tuple(self) == self._original

    def __reduce__(self) -> tuple[type[list[str]], tuple[list[str]]]:
        return list, (list(self),)
