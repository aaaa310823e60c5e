"""What a schema lists: inputs and outputs, and how each is told to the page.

Keywords that nobody here knows are passed on to the page as they are: packs are written against newer versions too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def known(options: dict[str, Any]) -> dict[str, Any]:
    """Only what was said; objects that describe themselves (`as_dict`) as they do."""
    said = {name: value for name, value in options.items() if value is not None}
    return {name: value.as_dict() if hasattr(value, "as_dict") else value for name, value in said.items()}


class Described:
    """Keywords that are told to the page as they are. ORDER: of those that may come without their names."""

    ORDER: tuple[str, ...] = ()
    DEFAULTS: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *values: Any, **said: Any):
        self.said = {**self.DEFAULTS, **dict(zip(self.ORDER, values, strict=False)), **said}

    def as_dict(self) -> dict[str, Any]:
        return known(self.said)


class Input:
    """One input. `as_dict` is what the page is told beside the type."""

    io_type: Any = "*"
    Parent: Any = None

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: dict[str, Any] | None = None,
        raw_link: bool | None = None,
        advanced: bool | None = None,
        **more: Any,
    ):
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        self.extra_dict = dict(extra_dict or {})
        self.rawLink = raw_link
        self.advanced = advanced
        self.more = more

    def get_io_type(self) -> str:
        return self.io_type

    def as_dict(self) -> dict[str, Any]:
        said = {
            "display_name": self.display_name,
            "tooltip": self.tooltip,
            "lazy": self.lazy,
            "rawLink": self.rawLink,
            "advanced": self.advanced,
        }
        return known({**said, **self.more, **self.extra_dict})

    def groups(self, before: str = "") -> dict[str, bool]:
        """Full names, beneath this input, of the groups whose parts arrive as `<group>.<part>` → whether the group has
        a value of its own. before: the group this input is part of, with its dot."""
        return {}


class WidgetInput(Input):
    """An input the page shows a widget for."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        socketless: bool | None = None,
        widget_type: str | None = None,
        force_input: bool | None = None,
        **more: Any,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, **more)
        self.default = default
        self.socketless = socketless
        self.widget_type = widget_type
        self.force_input = force_input

    def as_dict(self) -> dict[str, Any]:
        said = {
            "default": self.default,
            "socketless": self.socketless,
            "widgetType": self.widget_type,
            "forceInput": self.force_input,
        }
        return {**known(said), **super().as_dict()}

    def get_widget_type(self) -> str:
        return self.widget_type or self.io_type


class Output:
    """One output."""

    io_type: Any = "*"
    Parent: Any = None

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
        **more: Any,
    ):
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list
        self.more = more

    def get_io_type(self) -> Any:
        return self.io_type
