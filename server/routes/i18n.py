"""`/i18n`: translations that packs bring, merged by language."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from server.messages import dumps
from server.problems import JSON
from storage.folders import Folders

logger = logging.getLogger(__name__)

# main.json lies at the top of a language, the others beneath their own name.
_PARTS = ("nodeDefs", "commands", "settings")


class TranslationRoutes:
    """Read once: packs do not change while the program runs."""

    def __init__(self, folders: Folders):
        self._folders = folders
        self._made: bytes | None = None

    def table(self) -> list[web.RouteDef]:
        return [web.get("/i18n", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        if self._made is None:
            self._made = await asyncio.to_thread(lambda: dumps(self._read()).encode())
        return web.Response(body=self._made, content_type=JSON, charset="utf-8")

    def _read(self) -> dict[str, Any]:
        languages: dict[str, Any] = {}
        for pack in self._folders.packs():
            for folder in sorted(pack.glob("locales/*")):
                into = languages.setdefault(folder.name, {})
                _merge(into, _json(folder / "main.json"))
                for part in _PARTS:
                    if found := _json(folder / f"{part}.json"):
                        _merge(into.setdefault(part, {}), found)
        return languages


def _json(path: Path) -> dict[str, Any]:
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("translations in %s cannot be read: %s", path, error)
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        known = into.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(cast(dict[str, Any], known), cast(dict[str, Any], value))
        else:
            into[key] = value
