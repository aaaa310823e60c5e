"""What a node of the newer style asks of its job while it runs: progress and pictures of unfinished work."""

import logging
from typing import Any

from compat.pictures import preview_of
from compat.world import running

log = logging.getLogger(__name__)


def _set_progress(value: float, max_value: float, preview_image: Any = None, ignore_size_limit: bool = False) -> None:
    run = running()
    if run is None:
        return  # outside of a job there is nobody to tell
    if preview_image is not None:
        run.preview(*preview_of(preview_image, None if ignore_size_limit else "preview"))
    run.progress(value, max_value)


class ComfyAPIBase:
    """Versions of this interface have a number; `latest` has none."""

    VERSION = "latest"
    STABLE = False

    class NodeReplacement:
        """Which nodes took the place of older ones. It is noted in the log and changes no graph."""

        async def register(self, node_replace: Any) -> None:
            log.info("node %s says it replaces %s", node_replace.new_node_id, node_replace.old_node_id)

    def __init__(self) -> None:
        self.node_replacement = self.NodeReplacement()


class ComfyAPI(ComfyAPIBase):
    """For asynchronous nodes."""

    class Execution:
        async def set_progress(
            self,
            value: float,
            max_value: float,
            node_id: str | None = None,
            preview_image: Any = None,
            ignore_size_limit: bool = False,
        ) -> None:
            """Say how far the node is. preview_image: a PIL image, or pixels (B, H, W, C) in 0…1. node_id: only a
            running node can speak, and only for itself. Raises when the job is to end."""
            _set_progress(value, max_value, preview_image, ignore_size_limit)

    def __init__(self) -> None:
        super().__init__()
        self.execution = self.Execution()


class ComfyAPISync(ComfyAPIBase):
    """The same for nodes that are not asynchronous."""

    class Execution:
        def set_progress(
            self,
            value: float,
            max_value: float,
            node_id: str | None = None,
            preview_image: Any = None,
            ignore_size_limit: bool = False,
        ) -> None:
            _set_progress(value, max_value, preview_image, ignore_size_limit)

    def __init__(self) -> None:
        super().__init__()
        self.execution = self.Execution()


class Caching:
    """Ways to keep results elsewhere. Results are kept here; a provider is accepted and never asked."""

    class CacheProvider:
        pass

    @staticmethod
    def register_provider(provider: Any) -> None:
        log.info("a provider of kept results (%s) is not asked here", type(provider).__name__)
