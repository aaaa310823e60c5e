"""`/drafts`: what editors hold and have not saved, written down while they work."""

import asyncio

from aiohttp import web

from server.bodies import as_object, json_in_thread, read_json
from server.problems import bad, empty, json_response
from server.routes.userdata import data_of
from storage.drafts import BadDraftId, Drafts
from storage.users import Users


class DraftRoutes:
    def __init__(self, users: Users):
        self._users = users

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/drafts", self.listing),
            web.get("/drafts/{draft}", self.get),
            web.put("/drafts/{draft}", self.put),
            web.delete("/drafts/{draft}", self.delete),
        ]

    async def listing(self, request: web.Request) -> web.Response:
        """All but the workflows, which are large."""
        drafts = await self._drafts(request)
        return await json_in_thread(
            lambda: [
                {**{key: value for key, value in content.items() if key != "workflow"}, "id": id, "saved": saved}
                for id, saved, content in drafts.all()
            ]
        )

    async def get(self, request: web.Request) -> web.Response:
        drafts, id = await self._drafts(request), request.match_info["draft"]
        try:
            content = await asyncio.to_thread(drafts.get, id)
        except BadDraftId as error:
            raise bad("invalid_draft_id", str(error)) from None
        except FileNotFoundError:
            return empty(404)
        return await json_in_thread(lambda: content)

    async def put(self, request: web.Request) -> web.Response:
        drafts, id = await self._drafts(request), request.match_info["draft"]
        content = as_object(await read_json(request))
        try:
            saved = await asyncio.to_thread(drafts.put, id, content)
        except BadDraftId as error:
            raise bad("invalid_draft_id", str(error)) from None
        return json_response({"id": id, "saved": saved})

    async def delete(self, request: web.Request) -> web.Response:
        drafts, id = await self._drafts(request), request.match_info["draft"]
        try:
            await asyncio.to_thread(drafts.delete, id)
        except BadDraftId as error:
            raise bad("invalid_draft_id", str(error)) from None
        return empty(204)

    async def _drafts(self, request: web.Request) -> Drafts:
        return Drafts((await data_of(request, self._users)).folder)
