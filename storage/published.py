"""Workflows published under a name. What they hold is JSON here."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from storage.database import Database


class Published:
    def __init__(self, database: Database):
        self._database = database

    async def all(self) -> dict[str, tuple[Mapping[str, Any], float]]:
        """Content and time of the last change (seconds since the epoch) by name, sorted."""

        def work(db: sqlite3.Connection) -> dict[str, tuple[Mapping[str, Any], float]]:
            rows = db.execute("SELECT name, content, changed_at FROM workflows ORDER BY name")
            return {name: (json.loads(content), at) for name, content, at in rows}

        return await self._database.read(work)

    async def get(self, name: str) -> tuple[Mapping[str, Any], float] | None:
        def work(db: sqlite3.Connection) -> tuple[Mapping[str, Any], float] | None:
            row = db.execute("SELECT content, changed_at FROM workflows WHERE name = ?", (name,)).fetchone()
            return row and (json.loads(row[0]), row[1])

        return await self._database.read(work)

    async def put(self, name: str, content: Mapping[str, Any], at: float) -> bool:
        """Write one, over an earlier one of that name. True when the name is new."""

        def work(db: sqlite3.Connection) -> bool:
            known = db.execute("SELECT 1 FROM workflows WHERE name = ?", (name,)).fetchone() is not None
            db.execute(
                "INSERT OR REPLACE INTO workflows (name, content, changed_at) VALUES (?, ?, ?)",
                (name, json.dumps(content), at),
            )
            return not known

        return await self._database.write(work)

    async def delete(self, name: str) -> bool:
        """False when there is none."""
        return await self._database.write(
            lambda db: db.execute("DELETE FROM workflows WHERE name = ?", (name,)).rowcount > 0
        )
