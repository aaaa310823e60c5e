"""`/` and what the page loads: the built editor, as files."""

import asyncio
import re
from pathlib import Path

from aiohttp import hdrs, web

from server.files import static_file
from server.problems import empty

# The build puts a hash of the content into these names, so what a name holds never changes.
_HASHED = re.compile(r"(^|/)assets/[^/]+-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$")

MISSING = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Heddle</title>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 4em auto; padding: 0 1em">
<h1>Heddle is running, its editor is not built</h1>
<p>The API works. The page you expected here is built from <code>web/</code> with Node.js:</p>
<pre>cd web
npm ci
npm run build</pre>
<p>Then reload this page. Another build can be served with <code>--front-end-root FOLDER</code>.</p>
</body>
</html>
"""


class EditorRoutes:
    """root: the folder of the built editor, None or missing when there is none."""

    def __init__(self, root: Path | None):
        self._root = root

    def table(self) -> list[web.RouteDef]:
        return [web.get("/", self.index)]

    def static(self) -> list[web.RouteDef]:
        return [web.get("/{file:(?!v1/).+}", self.file)]

    async def index(self, request: web.Request) -> web.StreamResponse:
        index = None if self._root is None else self._root / "index.html"
        if index is None or not await asyncio.to_thread(index.is_file):
            response: web.StreamResponse = web.Response(text=MISSING, content_type="text/html")
        else:
            response = await static_file(index.parent, index.name)
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"
        response.headers[hdrs.PRAGMA] = "no-cache"
        response.headers[hdrs.EXPIRES] = "0"
        # Nobody may lay our page under theirs and have the owner click through it, or hold a handle to its window.
        response.headers["Content-Security-Policy"] = "frame-ancestors 'self'; object-src 'none'; base-uri 'self'"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        if self._root is None or not name:
            return empty(404)
        if name == "index.html":
            return await self.index(request)
        response = await static_file(self._root, name)
        if response.status == 200 and _HASHED.search(name):
            response.headers[hdrs.CACHE_CONTROL] = "public, max-age=31536000, immutable"
        return response
