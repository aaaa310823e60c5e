"""Who the users are. With one user everything belongs to "default"; with several a header of the request names one.

This separates people who trust each other (their settings, their workflows); it is no protection against anyone."""

import json
import re
import threading
import uuid
from pathlib import Path
from typing import Any

from storage import atomic
from storage.names import beneath
from storage.userdata import UserData

DEFAULT = "default"


class UnknownUser(LookupError):
    """No user of that id."""


class BadUserName(ValueError):
    """A user name that cannot be taken. The message is for the client."""


class Users:
    """The list of users, kept in `users.json` of the user folder. multi: more than one."""

    def __init__(self, folder: Path, multi: bool = False):
        self.folder, self.multi = folder, multi
        self._file = folder / "users.json"
        self._lock = threading.Lock()
        self._files = threading.Lock()

    def all(self) -> dict[str, str]:
        """id → name. Raises OSError when the list cannot be read."""
        try:
            known: Any = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise OSError(f"{self._file} is not readable as JSON: {error}") from error
        return {str(id): str(name) for id, name in known.items()}

    def resolve(self, id: str | None) -> str:
        """The user that a request speaks for. Raises UnknownUser."""
        if not self.multi:
            return DEFAULT
        if not id or id not in self.all():
            raise UnknownUser(id or "")
        return id

    def directory(self, user: str) -> Path:
        """The folder of a resolved user; it need not exist."""
        return beneath(self.folder, user)

    def data(self, user: str) -> UserData:
        """The files of a resolved user."""
        return UserData(self.directory(user), self._files)

    def create(self, name: str) -> str:
        """Add a user and return the new id. Raises BadUserName."""
        name = name.strip()
        if not name:
            raise BadUserName("Username is empty.")
        if len(name) > 128:
            raise BadUserName("Username is longer than 128 characters.")
        with self._lock:
            known = self.all()
            if any(name.casefold() == other.casefold() for other in known.values()):
                raise BadUserName("Duplicate username.")
            id = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)}_{uuid.uuid4()}"
            atomic.write_over(self._file, json.dumps({**known, id: name}, indent=4).encode())
        return id
