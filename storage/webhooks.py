"""Who wants to be told of the end of a job, until they have been told or it was given up.

A webhook is taken in with its job and falls due with its job's ending, in the same transactions (`migrations`, the
trigger), so that neither can be there without the other.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from storage.database import Database


@dataclass(frozen=True, slots=True)
class Webhook:
    """ended: when its job ended. tries: how often it was sent in vain."""

    number: int
    job: str
    url: str
    secret: str | None
    ended: float
    tries: int


class Webhooks:
    def __init__(self, database: Database):
        self._database = database

    async def due(self, now: float, limit: int) -> tuple[Sequence[Webhook], float | None]:
        """Those to send now, the longest due first, and when the next after them falls due."""

        def work(db: sqlite3.Connection) -> tuple[list[Webhook], float | None]:
            rows = db.execute(
                "SELECT number, job, url, secret, ended, tries FROM webhooks WHERE due_at <= ? ORDER BY due_at LIMIT ?",
                (now, limit),
            ).fetchall()
            (later,) = db.execute("SELECT min(due_at) FROM webhooks WHERE due_at > ?", (now,)).fetchone()
            return [Webhook(*row) for row in rows], later

        return await self._database.read(work)

    async def postpone(self, number: int, until: float) -> None:
        """It could not be told."""
        await self._database.write(
            lambda db: (
                db.execute("UPDATE webhooks SET due_at = ?, tries = tries + 1 WHERE number = ?", (until, number))
                and None
            )
        )

    async def settle(self, number: int) -> None:
        """It was told, or is given up."""
        await self._database.write(lambda db: db.execute("DELETE FROM webhooks WHERE number = ?", (number,)) and None)
