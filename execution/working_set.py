"""The results a running job still needs, held by signature and counted by who will use them.

A result nobody waits for any more is the cache's alone, and dies when the cache gives it up. A node that is scheduled
uses the results of its parents, of lazy ones too, and its own: a twin of it may make that first.
"""

from collections import Counter
from collections.abc import Iterable

from execution.cache import Cache, Entry
from execution.signature import Signature


class WorkingSet:
    def __init__(self, cache: Cache):
        self._cache = cache
        self._held: dict[Signature, Entry] = {}
        self._uses: Counter[Signature] = Counter()
        self._used_by: dict[str, list[Signature]] = {}

    def __getitem__(self, signature: Signature) -> Entry:
        """A result that a running node uses."""
        return self._held[signature]

    def find(self, signature: Signature) -> Entry | None:
        """A result that this job or an earlier one made. It is held from now on, until it has been used."""
        entry = self._held.get(signature)
        if entry is None:
            entry = self._cache.get(signature)
            if entry is not None:
                self._held[signature] = entry
        return entry

    def peek(self, signature: Signature) -> Entry | None:
        """The same, without holding it."""
        return self._held.get(signature) or self._cache.peek(signature)

    def use(self, id: str, signatures: Iterable[Signature]) -> None:
        """A node will need these results (too)."""
        used = self._used_by.setdefault(id, [])
        for signature in signatures:
            used.append(signature)
            self._uses[signature] += 1

    def keep(self, signature: Signature, entry: Entry) -> None:
        """A result was made."""
        self._held[signature] = entry
        self._cache.put(signature, entry)

    def release(self, id: str) -> None:
        """A node is done with what it used."""
        uses = self._uses
        for signature in self._used_by.pop(id, ()):
            uses[signature] -= 1
            if not uses[signature]:
                del uses[signature]
                self._held.pop(signature, None)

    def clear(self) -> None:
        self._held.clear()
        self._uses.clear()
        self._used_by.clear()
