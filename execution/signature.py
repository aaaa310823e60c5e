"""The name of a result: a hash of what made it. Two nodes with one signature would make the same thing.

A signature covers the class, every input (declared or not), the node's fingerprint where it has one (the hash of a file
it reads), its id where it can see its id, and the signatures of its parents, which stand for their whole history. So
one pass, parents first, is enough. Renumbering nodes, giving them titles and reordering inputs change nothing. Values
are compared as JSON writes them: 1, 1.0 and true are three different things. What has no JSON (NaN, a tensor put into
an expansion) never equals anything, not even itself the next time: such a node gets a number used once.

Lazy inputs. What a switch makes depends only on the branch it took, so a change in the other branch should not run it
again. Which branch that is, its `needs` decided from the inputs known then; with the same known inputs it will decide
the same. So decisions are remembered under the signature of what was known: first the node without its lazy links,
then with the links it asked for, and so on, until it asked for nothing more. The key at the end of that chain is the
node's signature, and links never asked for are not in it. While a decision is not yet known, all links count.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import count
from secrets import token_hex
from typing import Any, NewType

from execution.kind import Kind
from execution.prompt import Graph, Node

Signature = NewType("Signature", str)

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False).encode
_MOST_DECISIONS = 100_000


class OnceOnly:
    """Signatures that equal no other, of this run of the program or of any."""

    def __init__(self) -> None:
        self._numbers = count()
        self._prefix = token_hex(8)

    def __call__(self) -> Signature:
        return Signature(f"once-{self._prefix}-{next(self._numbers)}")


def is_once_only(signature: Signature) -> bool:
    return signature.startswith("once-")


class Decisions:
    """What `needs` answered before: signature of what was known → the links it then asked for."""

    def __init__(self) -> None:
        self._asked: OrderedDict[Signature, tuple[str, ...]] = OrderedDict()
        self.changes = 0

    def get(self, known: Signature) -> tuple[str, ...] | None:
        return self._asked.get(known)

    def remember(self, known: Signature, asked: Iterable[str]) -> None:
        names = tuple(sorted(asked))
        if is_once_only(known) or self._asked.get(known) == names:
            return
        self._asked[known] = names
        self.changes += 1
        if len(self._asked) > _MOST_DECISIONS:
            self._asked.popitem(last=False)


class Signer:
    """Signs the nodes of one job, those of the prompt first and those of expansions as they appear."""

    def __init__(
        self,
        graph: Graph,
        kinds: Callable[[str], Kind],
        decisions: Decisions,
        once: OnceOnly,
        fingerprints: Mapping[str, Any],
    ):
        """graph may grow. fingerprints: node id → what its fingerprint hook said; filled before the node is signed."""
        self.signed: dict[str, Signature] = {}
        self._graph = graph
        self._kinds = kinds
        self._decisions = decisions
        self._once = once
        self._once_of: dict[str, Signature] = {}
        self._fingerprints = fingerprints

    def sign(self, id: str) -> Signature | None:
        """Sign a node whose parents are signed. None if one of them is not: it cannot be signed either."""
        node = self._graph[id]
        links = node.links
        signed = self.signed
        for link in links.values():
            if link.node not in signed:
                return None
        kind = self._kinds(node.class_type)
        lazy = [name for name in links if name in kind.lazy] if kind.lazy else ()
        signature = self._of_lazy(node, kind) if lazy else self._of(node, kind, links)
        signed[id] = signature
        return signature

    def sign_again(self) -> dict[str, Signature]:
        """What everything is called now that more decisions are known."""
        self.signed, before = {}, self.signed
        for id in before:
            self.sign(id)
        return self.signed

    def known_key(self, id: str, asked: Sequence[Sequence[str]]) -> Signature:
        """The signature of what a lazy node knows after it has asked for these links, batch after batch."""
        node = self._graph[id]
        kind = self._kinds(node.class_type)
        key = self._of(node, kind, [name for name in node.links if name not in kind.lazy])
        for names in asked:
            key = self._with(key, node, sorted(names))
        return key

    def _of_lazy(self, node: Node, kind: Kind) -> Signature:
        key = self.known_key(node.id, ())
        if not kind.declaration.has_needs:
            return key  # nobody will ask for them
        while (names := self._decisions.get(key)) is not None:
            key = self._with(key, node, names)
            if not names:
                return key
        return self._of(node, kind, node.links)

    def _of(self, node: Node, kind: Kind, names: Collection[str]) -> Signature:
        """names: the links that count; the others only as being there."""
        once = self._once_of.get(node.id)
        if once is not None:
            return once
        signed, links = self.signed, node.links
        made_by = {name: (signed[links[name].node], links[name].slot) for name in names}
        parts = [
            node.class_type,
            node.id if kind.declaration.keyed_by_id else None,
            self._fingerprints.get(node.id),
            {**node.constants, **node.malformed} if node.malformed else node.constants,
            made_by if len(names) == len(links) else {**dict.fromkeys(links), **made_by},
        ]
        try:
            return _hash(_encode(parts))
        except (ValueError, TypeError, RecursionError):
            return self._once_of.setdefault(node.id, self._once())

    def _with(self, key: Signature, node: Node, names: Iterable[str]) -> Signature:
        if is_once_only(key):
            return key
        links = {name: (self.signed[node.links[name].node], node.links[name].slot) for name in names}
        return _hash(_encode(["asked", key, links]))


def _hash(text: str) -> Signature:
    return Signature(blake2b(text.encode(), digest_size=20).hexdigest())
