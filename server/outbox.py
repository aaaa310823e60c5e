"""What waits to be sent to one client, with bounds, and what is given up first when the client does not keep up.

Up to `SOFT` waiting frames nothing is given up and the order is exactly that of the events. Beyond it a newer preview,
progress or `executing` of a job takes the place of the older one. At `HARD` bytes waiting previews go; when that does
not help the client has lost: a client that asked for it (`resync`) starts over with a snapshot, any other is closed
and may come back. What a job made (results, errors, ends, final PNG images) is never dropped silently.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

SOFT = 256
HARD = 4 * 2**20
# Images of jobs that deliver over the socket are results and may be large: they have an allowance of their own.
HARD_IMAGES = 128 * 2**20

Frame = str | bytes


@dataclass(slots=True)
class Waiting:
    """frame: what to send; None: superseded.
    key: frames of one key supersede each other. preview: may be dropped without harm. result: a final image."""

    frame: Frame | None
    size: int
    key: Hashable | None
    preview: bool
    result: bool


class Overflow(Exception):
    """The client does not keep up, and nothing is left that could be given up."""


class Outbox:
    """One writer takes, the event loop puts."""

    def __init__(self, soft: int = SOFT, hard: int = HARD, hard_images: int = HARD_IMAGES):
        self._soft, self._hard, self._hard_images = soft, hard, hard_images
        self._waiting: deque[Waiting] = deque()
        self._latest: dict[Hashable, Waiting] = {}
        self._count = 0
        self._bytes = 0
        self._image_bytes = 0
        self._ready = asyncio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        return self._bytes + self._image_bytes

    def put(
        self,
        frame: Frame,
        *,
        key: Hashable | None = None,
        preview: bool = False,
        result: bool = False,
    ) -> None:
        """Let a frame wait for its turn. Raises Overflow; the frame is then not among those that wait."""
        size = len(frame)
        if key is not None and self._count >= self._soft:
            self._supersede(self._latest.get(key))
        over = self._image_bytes + size > self._hard_images if result else self._bytes + size > self._hard
        if over and not result:
            self._drop_previews()
            over = self._bytes + size > self._hard
            if over and preview:
                self.dropped += 1
                return
        if over:
            raise Overflow
        item = Waiting(frame, size, key, preview, result)
        self._waiting.append(item)
        self._count += 1
        self._add(item, size)
        if key is not None:
            self._latest[key] = item
        self._ready.set()

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
        self._latest.clear()
        self._count = self._bytes = self._image_bytes = 0
        self._ready.clear()

    async def take(self) -> Frame:
        """The next frame, once there is one."""
        while True:
            while self._waiting:
                item = self._waiting.popleft()
                frame = item.frame
                if frame is None:
                    continue
                self._forget(item)
                return frame
            self._ready.clear()
            await self._ready.wait()

    def _forget(self, item: Waiting) -> None:
        item.frame = None
        self._count -= 1
        self._add(item, -item.size)
        if item.key is not None and self._latest.get(item.key) is item:
            del self._latest[item.key]

    def _supersede(self, item: Waiting | None) -> None:
        if item is not None and item.frame is not None:
            self._forget(item)
            self.dropped += 1

    def _drop_previews(self) -> None:
        for item in self._waiting:
            if item.preview:
                self._supersede(item)

    def _add(self, item: Waiting, size: int) -> None:
        if item.result:
            self._image_bytes += size
        else:
            self._bytes += size
