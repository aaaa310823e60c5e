"""The packs of this worker, as its engine and through it the server know them."""

from collections.abc import Callable, Mapping
from typing import Any

from compat.overlays.nodes import EXTENSION_WEB_DIRS
from compat.pack import Loaded
from compat.prompt_server import PromptServer
from execution.events import Event
from execution.job import Job
from execution.packs import PackFacts, Wishes


class LoadedPacks:
    """`execution.packs.PackSide` over what was loaded."""

    def __init__(self, loaded: Loaded, server: PromptServer):
        self._loaded = loaded
        self._server = server

    def facts(self) -> PackFacts:
        app = self._server.pack_app
        declared = {name: str(path) for name, path in self._loaded.web_directories.items()}
        return PackFacts(
            # Some packs put their folder into the mapping themselves.
            web={**declared, **{str(name): str(path) for name, path in EXTENSION_WEB_DIRS.items()}},
            routes=tuple(app.patterns()),
            door=app.door,
            handles_prompts=bool(self._server.on_prompt_handlers),
        )

    def handle(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._server.trigger_on_prompt(dict(body))

    def speak(self, tell: Callable[[Event], None]) -> None:
        self._server.speak(tell)

    def begin(self, job: Job) -> None:
        self._server.begin(job)

    def end(self, job: Job) -> Wishes:
        self._server.end(job)
        flags = self._server.prompt_queue.get_flags()
        return Wishes(bool(flags.get("unload_models")), bool(flags.get("free_memory")))
