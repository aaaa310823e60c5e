"""The application: every route of the wire contract, built from the services it is given."""

from collections.abc import Iterable

from aiohttp import web

from server import middleware
from server.admission import Admission
from server.bodies import LIMITS
from server.definitions import Definitions
from server.forward import Forward
from server.pictures import Pictures
from server.routes.assets import AssetRoutes
from server.routes.drafts import DraftRoutes
from server.routes.editor import EditorRoutes
from server.routes.embeddings import EmbeddingRoutes
from server.routes.experiment import ExperimentRoutes
from server.routes.extensions import ExtensionRoutes
from server.routes.features import FeatureRoutes
from server.routes.free import FreeRoutes
from server.routes.global_subgraphs import GlobalSubgraphRoutes
from server.routes.health import HealthRoutes
from server.routes.history import HistoryRoutes
from server.routes.i18n import TranslationRoutes
from server.routes.internal import InternalRoutes
from server.routes.interrupt import InterruptRoutes
from server.routes.jobs import JobsRoutes
from server.routes.models import ModelRoutes
from server.routes.node_replacements import NodeReplacementRoutes
from server.routes.object_info import ObjectInfoRoutes
from server.routes.prompt import PromptRoutes
from server.routes.queue import QueueRoutes
from server.routes.settings import SettingsRoutes
from server.routes.system_stats import SystemStatsRoutes
from server.routes.upload import UploadRoutes
from server.routes.userdata import UserDataRoutes
from server.routes.users import UserRoutes
from server.routes.view import ViewRoutes
from server.routes.view_metadata import MetadataRoutes
from server.routes.workflow_templates import TemplateRoutes
from server.routes.ws import SocketRoutes
from server.services import Services
from server.v1.api import JobApi

Routes = Iterable[web.RouteDef]


def build(services: Services) -> web.Application:
    """The application, ready to be run by aiohttp. Call it where an event loop runs.

    Three kinds of routes: most are served both at `/x` and at `/api/x`; some only plain; some only beneath `/api`."""
    s, options = services, services.options
    pictures = Pictures()
    internal = InternalRoutes(s.folders, s.inputs, s.logs, s.hub)
    extensions = ExtensionRoutes(s.packs, options.front_end)
    templates = TemplateRoutes(s.folders, options.examples)
    editor = EditorRoutes(options.front_end)
    forward = Forward(s.packs)
    admission = Admission(options.limits, s.folders.output)
    api = JobApi(s, admission)
    both: list[Routes] = [
        PromptRoutes(s.intake, s.queue, s.hub, admission).table(),
        QueueRoutes(s.queue).table(),
        InterruptRoutes(s.dispatch).table(),
        FreeRoutes(s.dispatch.workers).table(),
        HistoryRoutes(s.history).table(),
        ObjectInfoRoutes(Definitions(s.catalogue, s.folders)).table(),
        NodeReplacementRoutes().table(),
        GlobalSubgraphRoutes(s.folders).table(),
        UploadRoutes(s.inputs, pictures).table(),
        ViewRoutes(s.inputs, pictures).table(),
        MetadataRoutes(s.folders).table(),
        ModelRoutes(s.folders).table(),
        ExperimentRoutes(s.folders, pictures).table(),
        EmbeddingRoutes(s.folders).table(),
        extensions.table(),
        FeatureRoutes(options.max_upload).table(),
        templates.table(),
        TranslationRoutes(s.folders).table(),
        SystemStatsRoutes(s.dispatch.workers, options.arguments).table(),
        UserRoutes(s.users).table(),
        SettingsRoutes(s.users, s.settings).table(),
        UserDataRoutes(s.users).table(),
        DraftRoutes(s.users).table(),
        SocketRoutes(s.hub, options.limits).table(),
        HealthRoutes(s.dispatch.workers, s.queue).table(),
        api.table(),
        editor.table(),
    ]
    only_api: list[Routes] = [
        JobsRoutes(s.jobs, s.history, s.dispatch).table(),
        AssetRoutes().table(),
        templates.static(),
    ]
    only_plain: list[Routes] = [internal.table(), extensions.static()]

    app = web.Application(
        middlewares=[
            middleware.headers(options.access, options.compress),
            middleware.errors(),
            middleware.guarded(options.access, options.limits),
            forward.middleware(),
        ],
        client_max_size=options.max_upload,
    )
    app[LIMITS] = options.limits
    for table in both:
        app.add_routes(table)
        app.add_routes(beneath_api(table))
    for table in only_api:
        app.add_routes(beneath_api(table))
    for table in only_plain:
        app.add_routes(table)
    app.add_routes(editor.static())  # takes whatever is left, so it comes last
    app.cleanup_ctx.append(internal.tell_watchers)
    app.cleanup_ctx.append(api.deliver)

    async def say_goodbye(_: web.Application) -> None:
        s.feed.close()
        await s.hub.close()
        await forward.close()

    app.on_shutdown.append(say_goodbye)
    return app


def beneath_api(routes: Routes) -> list[web.RouteDef]:
    return [web.RouteDef(route.method, f"/api{route.path}", route.handler, route.kwargs) for route in routes]
