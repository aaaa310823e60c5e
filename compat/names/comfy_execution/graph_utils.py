"""Graphs that nodes return in place of themselves."""

from compat.outcomes import is_link as is_link
from compat.signals import ExecutionBlocker as ExecutionBlocker
from compat.world import running


class Node:
    def __init__(self, id, class_type, inputs):
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id = None

    def out(self, index):
        """A link to an output."""
        return [self.id, index]

    def set_input(self, key, value):
        """None takes the input away."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key):
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id):
        self.override_display_id = override_display_id

    def serialize(self):
        entry = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            entry["override_display_id"] = self.override_display_id
        return entry


class GraphBuilder:
    """Ids get a prefix that is new for every graph a node builds, and the same when the node runs again."""

    _default_prefix_root = ""
    _default_prefix_call_index = 0
    _default_prefix_graph_index = 0
    _of_call: tuple = ()

    def __init__(self, prefix=None):
        self.prefix = GraphBuilder.alloc_prefix() if prefix is None else prefix
        self.nodes = {}
        self.id_gen = 1

    @classmethod
    def set_default_prefix(cls, prefix_root, call_index, graph_index=0):
        cls._default_prefix_root = prefix_root
        cls._default_prefix_call_index = call_index
        cls._default_prefix_graph_index = graph_index

    @classmethod
    def alloc_prefix(cls, root=None, call_index=None, graph_index=None):
        """`<node>.<call>.<graph>.`: of the running call, unless given."""
        run = running()
        call = () if run is None else (run.prompt_id, run.node.id, run.list_index)
        if call and call != cls._of_call:
            cls._of_call = call
            cls.set_default_prefix(run.node.id, run.list_index)
        root = cls._default_prefix_root if root is None else root
        call_index = cls._default_prefix_call_index if call_index is None else call_index
        if graph_index is None:
            graph_index = cls._default_prefix_graph_index
            cls._default_prefix_graph_index += 1
        return f"{root}.{call_index}.{graph_index}."

    def node(self, class_type, id=None, **kwargs):
        """A new node, or the one of that id."""
        if id is None:
            id = str(self.id_gen)
            self.id_gen += 1
        id = self.prefix + id
        if id not in self.nodes:
            self.nodes[id] = Node(id, class_type, kwargs)
        return self.nodes[id]

    def lookup_node(self, id):
        return self.nodes.get(self.prefix + id)

    def finalize(self):
        return {id: node.serialize() for id, node in self.nodes.items()}

    def replace_node_output(self, node_id, index, new_value):
        """Whoever is linked to an output gets something else, or with None nothing."""
        old = [self.prefix + node_id, index]
        for node in self.nodes.values():
            for name in [name for name, value in node.inputs.items() if is_link(value) and list(value) == old]:
                node.set_input(name, new_value)

    def remove_node(self, id):
        del self.nodes[self.prefix + id]


def add_graph_prefix(graph, outputs, prefix):
    """(graph, outputs) with ids and links behind a prefix."""

    def moved(value):
        return [prefix + value[0], value[1]] if is_link(value) else value

    changed = {}
    for id, node in graph.items():
        changed[prefix + id] = {**node, "inputs": {name: moved(value) for name, value in node["inputs"].items()}}
    return changed, tuple(moved(value) for value in outputs)
