"""Taking turns on the event loop: what a thousand tasks want to do at once is spread over many rounds of the loop, and
in every round it looks at everybody else too."""

import asyncio
from collections import deque


class Turns:
    """most: how many may go in one round."""

    def __init__(self, most: int):
        self._most = most
        self._left = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._refilling = False

    async def take(self) -> None:
        """Return when it is this task's turn. First come, first served."""
        if self._left and not self._waiting:
            self._left -= 1
            self._begin()
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._begin()
        await turn

    def _begin(self) -> None:
        if not self._refilling:
            self._refilling = True
            asyncio.get_running_loop().call_soon(self._refill)

    def _refill(self) -> None:
        """Another round has begun."""
        self._left = self._most
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                self._left -= 1
        self._refilling = False
        if self._waiting:
            self._begin()
