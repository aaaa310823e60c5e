"""What a user set in the editor: one flat JSON object per user, in a file of the user's folder."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from storage import atomic

FILE = "comfy.settings.json"


class UserSettings:
    """Settings of users, by their folder. Safe to use from several threads; every write is whole or not at all."""

    def __init__(self):
        self._lock = threading.Lock()

    def read(self, folder: Path) -> dict[str, Any]:
        """All settings; empty when there are none or the file is damaged."""
        try:
            value: Any = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return cast(dict[str, Any], value) if isinstance(value, dict) else {}

    def merge(self, folder: Path, values: Mapping[str, Any]) -> None:
        """Set these keys, keep the others. A damaged file is kept beside the new one."""
        with self._lock:
            path = folder / FILE
            known = self.read(folder)
            if not known and path.exists() and path.stat().st_size > 2:
                path.replace(path.with_suffix(".damaged.json"))
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({**known, **values}, indent=4, allow_nan=False)
            atomic.write_over(path, text.encode())
