"""The job API, put together: its operations, their routes, their description."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from aiohttp import hdrs, web

from server.admission import Admission
from server.problems import json_response
from server.services import Services
from server.v1.events import EventOperations
from server.v1.jobs import JobOperations, JobView
from server.v1.memory import MemoryOperations
from server.v1.openapi import describe
from server.v1.operations import routes
from server.v1.page import POLICY, page
from server.v1.submitting import Submitting
from server.v1.webhooks import Deliveries
from server.v1.workflows import WorkflowOperations


class JobApi:
    def __init__(self, services: Services, admission: Admission):
        s, local = services, services.options.access.loopback
        view = JobView(s.jobs, s.queue, s.dispatch, s.feed)
        submitting = Submitting(s.intake, s.queue, s.hub, admission, view, local)
        self._workflows = WorkflowOperations(s.published, submitting, s.catalogue)
        self._deliveries = Deliveries(s.webhooks, view, local)
        s.feed.on_end.append(self._deliveries.wake)
        self._operations = [
            *submitting.all(),
            *JobOperations(view, s.queue, s.dispatch).all(),
            *EventOperations(view, s.feed).all(),
            *self._workflows.all(),
            *MemoryOperations(s.dispatch).all(),
        ]

    async def deliver(self, _: web.Application) -> AsyncGenerator[None]:
        """While the application runs, webhooks are sent."""
        await self._deliveries.start()
        yield
        await self._deliveries.close()

    def table(self) -> list[web.RouteDef]:
        return [
            *routes(self._operations),
            web.get("/openapi.json", self.description),
            web.get("/docs", self.page),
        ]

    async def description(self, request: web.Request) -> web.Response:
        return json_response(await self._described())

    async def page(self, request: web.Request) -> web.Response:
        response = web.Response(text=page(await self._described()), content_type="text/html")
        response.headers["Content-Security-Policy"] = POLICY
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"
        return response

    async def _described(self) -> Mapping[str, Any]:
        workflows = await self._workflows.workflows()
        return await asyncio.to_thread(describe, self._operations, workflows)
