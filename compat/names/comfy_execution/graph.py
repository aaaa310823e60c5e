"""The graph of a running job as nodes see it."""

from comfy_execution.graph_utils import ExecutionBlocker as ExecutionBlocker
from comfy_execution.graph_utils import is_link as is_link
from compat.hidden import DynamicPrompt as DynamicPrompt
from compat.hidden import NodeNotFound


class DependencyCycleError(Exception):
    pass


class NodeInputError(Exception):
    pass


NodeNotFoundError = NodeNotFound


def get_input_info(class_def, input_name, valid_inputs=None):
    """(type, section, options) of a declared input; Nones for an unknown one."""
    declared = valid_inputs or class_def.INPUT_TYPES()
    for section in ("required", "optional", "hidden"):
        entry = declared.get(section, {}).get(input_name)
        if entry is not None:
            if not isinstance(entry, (list, tuple)):
                return entry, section, {}
            return entry[0], section, entry[1] if len(entry) > 1 else {}
    return None, None, None
