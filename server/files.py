"""The one file service: every file leaves through here, and what users or nodes made never runs as part of our page.

Pictures, sound and video of known types are shown in place; everything else is a download. Nothing is sniffed, and a
file opened on its own is sandboxed: it has no origin, no scripts and no network.
"""

import asyncio
from pathlib import Path
from urllib.parse import quote

from aiohttp import hdrs, web

from server.problems import empty
from storage.listing import media_type
from storage.names import BadName, beneath

# Types that hold no scripts. SVG and PDF do.
INLINE = frozenset(
    {
        *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/tiff", "image/jxl"),
        *("audio/mpeg", "audio/ogg", "audio/wav", "audio/x-wav", "audio/flac", "audio/x-flac", "audio/mp4"),
        *("audio/aac", "audio/webm", "video/mp4", "video/webm", "video/ogg", "video/quicktime", "video/x-matroska"),
    }
)
# Types a browser would run are not even named.
_UNNAMED = frozenset(
    {"text/html", "application/xhtml+xml", "text/javascript", "application/javascript", "text/css", "text/xml"}
)
_SANDBOX = "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'"


def user_file(path: Path, name: str | None = None) -> web.FileResponse:
    """A file as it is, with ranges and conditions. path: already resolved beneath its root. name: what to call it."""
    kind = media_type(path.name)
    response = web.FileResponse(path)
    response.headers[hdrs.CONTENT_TYPE] = "application/octet-stream" if kind in _UNNAMED else kind
    _protect(response, kind, name or path.name)
    return response


def user_bytes(data: bytes, kind: str, name: str) -> web.Response:
    """Something made from a user's file, in memory. kind: its media type."""
    response = web.Response(body=data, content_type=kind)
    _protect(response, kind, name)
    return response


async def static_file(folder: Path, name: str) -> web.StreamResponse:
    """A file of a program's own, as what it is: a page, a script, a pack's picture. 404 for one that is not there."""

    def locate() -> Path | None:
        try:
            path = beneath(folder, name)
        except BadName:
            return None
        return path if path.is_file() else None

    path = await asyncio.to_thread(locate)
    if path is None:
        return empty(404)
    response = web.FileResponse(path)
    kind = media_type(path.name)
    response.headers[hdrs.CONTENT_TYPE] = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    return response


def _protect(response: web.StreamResponse, kind: str, name: str) -> None:
    shown = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    how = f'filename="{shown}"'
    if shown != name:
        how += f"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
    # Clients read the bare form, without "inline"; a browser takes it for the same thing.
    response.headers[hdrs.CONTENT_DISPOSITION] = how if kind in INLINE else f"attachment; {how}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = _SANDBOX
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
