"""How far nodes are: told through the running node."""

from compat.world import running


class ProgressHandler:
    """A listener of packs' own. The executor tells clients itself, and calls none of these."""

    def __init__(self, name):
        self.name = name
        self.enabled = True

    def set_registry(self, registry):
        pass

    def enable(self):
        self.enabled = True

    def disable(self):
        self.enabled = False

    def reset(self):
        pass


class ProgressRegistry:
    def __init__(self):
        self.handlers = {}
        self.nodes = {}

    def register_handler(self, handler):
        self.handlers[handler.name] = handler

    def unregister_handler(self, handler_name):
        self.handlers.pop(handler_name, None)

    def update_progress(self, node_id, value, max_value, image=None):
        run = running()
        if run is not None:
            run.progress(value, max_value)


_registry = ProgressRegistry()


def get_progress_state():
    return _registry


def add_progress_handler(handler):
    handler.set_registry(_registry)
    _registry.register_handler(handler)
