"""`server`: the server as packs see it from a worker."""

from aiohttp import web

from compat.prompt_server import BinaryEventTypes, PromptServer

__all__ = ["BinaryEventTypes", "PromptServer", "web"]
