"""Inputs that grow, and types that depend on what is connected. Their parts arrive as `<input>.<part>`, and the node
gets them as a dict."""

from typing import Any

from comfy_api.latest.io.inputs import Input, Output, known
from comfy_api.latest.io.types import ComfyTypeI, ComfyTypeIO, comfytype


def described(inputs: list[Input]) -> dict[str, Any]:
    """Inputs as `/object_info` shows them, by section."""
    sections: dict[str, Any] = {}
    for one in inputs:
        section = sections.setdefault("optional" if one.optional else "required", {})
        section[one.id] = [one.get_io_type(), one.as_dict()]
    return sections


def groups_of(inputs: list[Input], before: str) -> dict[str, bool]:
    return {name: own for one in inputs for name, own in one.groups(before).items()}


@comfytype(io_type="COMFY_MATCHTYPE_V3")
class MatchType(ComfyTypeIO):
    """Inputs and outputs of one template have one type, whichever the page finds there."""

    class Template:
        def __init__(self, template_id: str, allowed_types: Any = None, **more: Any):
            self.template_id = template_id
            kinds = allowed_types if isinstance(allowed_types, list | tuple) else [allowed_types]
            self.allowed_types = ",".join(kind.io_type for kind in kinds if kind is not None) or "*"

        def as_dict(self) -> dict[str, Any]:
            return {"template_id": self.template_id, "allowed_types": self.allowed_types}

    class Input(Input):
        def __init__(self, id: str, template: "MatchType.Template", *args: Any, **more: Any):
            super().__init__(id, *args, **more)
            self.template = template

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "template": self.template.as_dict()}

    class Output(Output):
        def __init__(self, template: "MatchType.Template", id: str | None = None, *args: Any, **more: Any):
            super().__init__(id, *args, **more)
            self.template = template


@comfytype(io_type="COMFY_AUTOGROW_V3")
class Autogrow(ComfyTypeI):
    """A list of inputs of one kind that grows as they are connected; the node gets a dict of those that are there."""

    class TemplatePrefix:
        """Parts are called `<prefix>0`, `<prefix>1`, … At least `min` are needed."""

        def __init__(self, input: Input, prefix: str, min: int = 1, max: int = 10, **more: Any):
            self.input, self.prefix, self.min, self.max = input, prefix, min, max

        def as_dict(self) -> dict[str, Any]:
            said = {"prefix": self.prefix, "min": self.min, "max": self.max}
            return {"input": described([self.input]), **said}

    class TemplateNames:
        """Parts have these names, in this order. At least the first `min` are needed."""

        def __init__(self, input: Input, names: list[str], min: int = 1, **more: Any):
            self.input, self.names, self.min = input, names, min

        def as_dict(self) -> dict[str, Any]:
            return {"input": described([self.input]), "names": list(self.names), "min": self.min}

    class Input(Input):
        def __init__(self, id: str, template: Any, *args: Any, **more: Any):
            super().__init__(id, *args, **more)
            self.template = template

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "template": self.template.as_dict()}

        def groups(self, before: str = "") -> dict[str, bool]:
            return {f"{before}{self.id}": False}


@comfytype(io_type="COMFY_DYNAMICCOMBO_V3")
class DynamicCombo(ComfyTypeI):
    """A choice that brings inputs of its own; the node gets a dict with the choice under the input's own name."""

    class Option:
        def __init__(self, key: str, inputs: list[Input], **more: Any):
            self.key, self.inputs = key, inputs

        def as_dict(self) -> dict[str, Any]:
            return {"key": self.key, "inputs": described(self.inputs)}

    class Input(Input):
        def __init__(self, id: str, options: list[Any], *args: Any, **more: Any):
            super().__init__(id, *args, **more)
            self.options = options

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "options": [option.as_dict() for option in self.options]}

        def groups(self, before: str = "") -> dict[str, bool]:
            mine = f"{before}{self.id}"
            inner = [one for option in self.options for one in option.inputs]
            return {mine: True, **groups_of(inner, f"{mine}.")}


@comfytype(io_type="COMFY_DYNAMICSLOT_V3")
class DynamicSlot(ComfyTypeI):
    """A socket that brings inputs of its own once it is connected."""

    class Input(Input):
        def __init__(self, slot: Input, inputs: list[Input], *args: Any, **more: Any):
            more = {"display_name": slot.display_name, "optional": True, **more}
            super().__init__(slot.id, *args, **more)
            self.slot, self.inputs = slot, inputs

        def as_dict(self) -> dict[str, Any]:
            said = {"slotType": self.slot.get_io_type(), "inputs": described(self.inputs)}
            return {**super().as_dict(), **known(said)}

        def groups(self, before: str = "") -> dict[str, bool]:
            mine = f"{before}{self.id}"
            return {mine: True, **groups_of(self.inputs, f"{mine}.")}
