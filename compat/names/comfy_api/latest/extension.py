"""What `comfy_entrypoint` returns."""

from abc import ABC, abstractmethod


class ComfyExtension(ABC):
    """A pack: what it does when it is loaded, and its nodes."""

    async def on_load(self) -> None:
        """Called once, before the nodes are listed."""

    @abstractmethod
    async def get_node_list(self) -> list[type]:
        """The classes of nodes."""
