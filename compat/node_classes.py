"""Class name → class, of every node: the one mapping that packs look nodes up in, and add theirs to."""

from typing import Any


class NodeClasses:
    """mapping: what packs see. Of our own nodes it holds classes made from their specs."""

    def __init__(self) -> None:
        self.mapping: dict[str, Any] = {}
        self.titles: dict[str, str] = {}
        self._ours: dict[str, Any] = {}

    def place_ours(self, id: str, kind: Any, title: str | None) -> None:
        self.mapping[id] = self._ours[id] = kind
        self.titles[id] = title or id

    def place(self, id: str, kind: Any, title: str | None = None) -> None:
        """A pack's class. The name of one of ours stays with ours."""
        if id not in self._ours:
            self.mapping[id] = kind
            self.titles[id] = title or id

    def clear(self) -> None:
        """The mappings stay the same objects: packs hold them."""
        for held in (self.mapping, self.titles, self._ours):
            held.clear()

    @property
    def theirs(self) -> dict[str, Any]:
        return {id: kind for id, kind in self.mapping.items() if self._ours.get(id) is not kind}


_classes = NodeClasses()


def node_classes() -> NodeClasses:
    return _classes
