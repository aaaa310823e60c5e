"""How much of anything one client may send, open or queue. Every number can be set with `--limit NAME=NUMBER`.

Limits of a graph (nodes, links, ids) are in `execution.prompt`; of the queue's length in `execution.queue`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace


class BadLimit(ValueError):
    """A limit that does not exist or a number that cannot be one. The message is for the command line."""


@dataclass(frozen=True, slots=True)
class Limits:
    """body: bytes of JSON. depth: levels of it. text, key: characters of one text, of one key of an object.

    headers, header_count: bytes and number of a request's headers. header_seconds: until they are complete.
    keep_alive: seconds a connection may be silent between two requests.
    body_idle: seconds between two pieces of a body. body_patience, body_rate: after so many seconds it must have come
    faster than so many bytes a second.
    connections, connections_each: open at once, in all and from one address that is not this machine's.
    sockets: websockets open at once. frame: bytes of one message in.
    submit_rate, submit_burst: jobs a second, and at once, from one address that is not this machine's.
    disk_low: bytes that must be free for a job to be taken in; on small disks a fiftieth of them.
    """

    body: int = 16 * 2**20
    depth: int = 64
    text: int = 2**20
    key: int = 256
    headers: int = 16 * 2**10
    header_count: int = 100
    header_seconds: float = 10.0
    keep_alive: float = 75.0
    body_idle: float = 15.0
    body_patience: float = 30.0
    body_rate: float = 1024.0
    connections: int = 2000
    connections_each: int = 256
    sockets: int = 1024
    frame: int = 256 * 2**10
    submit_rate: float = 50.0
    submit_burst: int = 200
    disk_low: int = 2 * 2**30

    @classmethod
    def changed(cls, changes: Iterable[str]) -> "Limits":
        """The defaults with some of them changed. changes: "name=number". Raises BadLimit."""
        known = {field.name: field.default for field in fields(cls)}
        found: dict[str, float] = {}
        for change in changes:
            name, _, text = change.partition("=")
            if name not in known:
                raise BadLimit(f"there is no limit {name!r}; the limits are {', '.join(known)}")
            try:
                number = float(text) if isinstance(known[name], float) else int(text)
            except ValueError:
                raise BadLimit(f"{name} needs a number, got {text!r}") from None
            if not 0 < number < 2**50 and not (name == "disk_low" and number == 0):
                raise BadLimit(f"{name} must be above 0, got {text}")
            found[name] = number
        return replace(cls(), **found)
