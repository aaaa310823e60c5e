"""The base of a node in the schema style. Its methods are class methods and keep no state: each call sees a locked
throw-away subclass that holds the hidden values of that call."""

import inspect
from abc import ABCMeta
from typing import Any

from comfy_api.latest.io.schema import HiddenHolder, NodeOutput, Schema
from compat.signals import ExecutionBlocker


class _NodeMeta(ABCMeta):
    def __setattr__(cls, name: str, value: Any) -> None:
        if cls.__dict__.get("_locked") and not name.startswith("_abc"):
            raise AttributeError(
                f"{cls.__name__}.{name} cannot be set while the node runs: nodes in the schema style keep no state; "
                "return it, or keep it in an object of the module"
            )
        super().__setattr__(name, value)


class _FromSchema:
    """A class attribute of the older style, read off the schema; also seen on instances."""

    def __init__(self, read: Any):
        self.read = read

    def __get__(self, instance: Any, owner: type) -> Any:
        return self.read(owner.GET_SCHEMA())


def _input_types(schema: Schema) -> dict[str, Any]:
    sections: dict[str, Any] = {"required": {}}
    for one in schema.inputs:
        section = sections.setdefault("optional" if one.optional else "required", {})
        section[one.id] = (one.get_io_type(), one.as_dict())
    if schema.hidden:
        sections["hidden"] = {hidden.name: (hidden.value,) for hidden in schema.hidden}
    return sections


class ComfyNode(metaclass=_NodeMeta):
    """A node: `define_schema` and `execute`, and where it wants them `validate_inputs`, `fingerprint_inputs` and
    `check_lazy_status`, all class methods."""

    hidden: HiddenHolder = HiddenHolder()
    RELATIVE_PYTHON_MODULE: str | None = None

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError(f"{cls.__name__} must define define_schema()")

    @classmethod
    def execute(cls, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{cls.__name__} must define execute()")

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The schema afresh: choices may have changed. Raises ValueError for one that contradicts itself."""
        schema = cls.define_schema()
        if not isinstance(schema, Schema):
            raise TypeError(f"{cls.__name__}.define_schema() must return an io.Schema, got {type(schema).__name__}")
        schema.finalize()
        schema.validate()
        return schema

    @classmethod
    def PREPARE_CLASS_CLONE(cls, hidden: dict[str, Any] | None = None) -> type["ComfyNode"]:
        """A locked subclass for one call, with that call's hidden values."""
        body = {"hidden": HiddenHolder(hidden), "__module__": cls.__module__, "__qualname__": cls.__qualname__}
        clone = type(cls)(cls.__name__, (cls,), body)
        clone._locked = True
        return clone

    # What the older style of nodes is asked for, for packs that treat all nodes alike.

    RETURN_TYPES = _FromSchema(lambda schema: [output.get_io_type() for output in schema.outputs])
    RETURN_NAMES = _FromSchema(lambda schema: [o.display_name or o.get_io_type() for o in schema.outputs])
    OUTPUT_IS_LIST = _FromSchema(lambda schema: [output.is_output_list for output in schema.outputs])
    OUTPUT_TOOLTIPS = _FromSchema(lambda schema: [output.tooltip for output in schema.outputs])
    INPUT_IS_LIST = _FromSchema(lambda schema: schema.is_input_list)
    CATEGORY = _FromSchema(lambda schema: schema.category)
    DESCRIPTION = _FromSchema(lambda schema: schema.description)
    OUTPUT_NODE = _FromSchema(lambda schema: schema.is_output_node)
    DEPRECATED = _FromSchema(lambda schema: schema.is_deprecated)
    EXPERIMENTAL = _FromSchema(lambda schema: schema.is_experimental)
    API_NODE = _FromSchema(lambda schema: schema.is_api_node)
    NOT_IDEMPOTENT = _FromSchema(lambda schema: schema.not_idempotent)
    FUNCTION = "EXECUTE_NORMALIZED"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return _input_types(cls.GET_SCHEMA())

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args: Any, **kwargs: Any) -> Any:
        """`execute`, its result as a NodeOutput (an awaitable of one for an asynchronous node)."""
        made = cls.execute(*args, **kwargs)
        return _later(made) if inspect.isawaitable(made) else normalized(made)


async def _later(made: Any) -> Any:
    return normalized(await made)


def normalized(made: Any) -> Any:
    """Whatever an `execute` may return, as a NodeOutput; a blocker as it is. Raises TypeError for what it may not."""
    match made:
        case NodeOutput():
            return made
        case None:
            return NodeOutput()
        case tuple() | list():
            return NodeOutput(*made)
        case dict():
            return NodeOutput.from_dict(made)
        case ExecutionBlocker():
            return made
        case _:
            raise TypeError(
                f"execute() must return an io.NodeOutput, a tuple, a dict or nothing, got {type(made).__name__}"
            )
