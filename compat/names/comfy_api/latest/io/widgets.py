"""The types the page has widgets for."""

from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

from comfy_api.latest.io.inputs import Described, Input, Output, WidgetInput, known
from comfy_api.latest.io.types import ComfyTypeI, ComfyTypeIO, comfytype


class NumberDisplay(StrEnum):
    number = "number"
    slider = "slider"
    gradient_slider = "gradientslider"
    knob = "knob"
    color = "color"


class ControlAfterGenerate(StrEnum):
    """What the page does to a seed after each run, at first."""

    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


class UploadType(StrEnum):
    """What may be uploaded into a combo, by the key the page knows it by."""

    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class FolderType(StrEnum):
    input = "input"
    output = "output"
    temp = "temp"


class RemoteOptions(Described):
    """Where the page fetches the choices of a combo itself. timeout, refresh: milliseconds."""

    ORDER = ("route", "refresh_button", "control_after_refresh", "timeout", "max_retries", "refresh")
    DEFAULTS = MappingProxyType({"refresh_button": True, "control_after_refresh": "first"})


class RemoteItemSchema(Described):
    """Which fields of a fetched item are its value, its label, …"""

    ORDER = ("value_field", "label_field")


class RemoteComboOptions(Described):
    """As RemoteOptions, for the richer list."""

    ORDER = ("route", "item_schema")


def plain(value: Any) -> Any:
    """An enum member as its value."""
    return value.value if isinstance(value, Enum) else value


@comfytype(io_type="BOOLEAN")
class Boolean(ComfyTypeIO):
    Type = bool

    class Input(WidgetInput):
        def __init__(self, id: str, *args: Any, label_on: str | None = None, label_off: str | None = None, **more: Any):
            super().__init__(id, *args, **more)
            self.label_on, self.label_off = label_on, label_off

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), **known({"label_on": self.label_on, "label_off": self.label_off})}


class NumberInput(WidgetInput):
    """min, max: refused beyond them. step, round: for the page. display_mode: how it is shown."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: float | None = None,
        min: float | None = None,
        max: float | None = None,
        step: float | None = None,
        **more: Any,
    ):
        self.round = more.pop("round", None)
        self.control_after_generate = more.pop("control_after_generate", None)
        self.display_mode = more.pop("display_mode", None)
        super().__init__(id, display_name, optional, tooltip, lazy, default, **more)
        self.min, self.max, self.step = min, max, step

    def as_dict(self) -> dict[str, Any]:
        said = {
            "min": self.min,
            "max": self.max,
            "step": self.step,
            "round": self.round,
            "control_after_generate": plain(self.control_after_generate),
            "display": plain(self.display_mode),
        }
        return {**super().as_dict(), **known(said)}


@comfytype(io_type="INT")
class Int(ComfyTypeIO):
    Type = int

    class Input(NumberInput):
        pass


@comfytype(io_type="FLOAT")
class Float(ComfyTypeIO):
    Type = float

    class Input(NumberInput):
        pass


@comfytype(io_type="STRING")
class String(ComfyTypeIO):
    Type = str

    class Input(WidgetInput):
        def __init__(
            self,
            id: str,
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            multiline: bool | None = False,
            placeholder: str | None = None,
            default: str | None = None,
            dynamic_prompts: bool | None = None,
            **more: Any,
        ):
            super().__init__(id, display_name, optional, tooltip, lazy, default, **more)
            self.multiline, self.placeholder, self.dynamic_prompts = multiline, placeholder, dynamic_prompts

        def as_dict(self) -> dict[str, Any]:
            said = {
                "multiline": self.multiline,
                "placeholder": self.placeholder,
                "dynamicPrompts": self.dynamic_prompts,
            }
            return {**super().as_dict(), **known(said)}


def listed(options: Any) -> list[Any] | None:
    """Choices, from a list or from an Enum class. A list stays the one it is: it may know which files it lists."""
    if options is None:
        return None
    if isinstance(options, list) and not any(isinstance(option, Enum) for option in options):
        return options
    return [plain(option) for option in options]


@comfytype(io_type="COMBO")
class Combo(ComfyTypeIO):
    Type = str

    class Input(WidgetInput):
        """options: a list or an Enum class; None where the page fetches them (`remote`)."""

        multiselect = False

        def __init__(
            self,
            id: str,
            options: Any = None,
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            default: Any = None,
            control_after_generate: Any = None,
            upload: UploadType | None = None,
            image_folder: FolderType | None = None,
            remote: RemoteOptions | None = None,
            **more: Any,
        ):
            super().__init__(id, display_name, optional, tooltip, lazy, plain(default), **more)
            self.options = listed(options)
            self.control_after_generate = control_after_generate
            self.upload = upload
            self.image_folder = image_folder
            self.remote = remote

        def as_dict(self) -> dict[str, Any]:
            said = {
                "multiselect": self.multiselect,
                "options": self.options,
                "control_after_generate": plain(self.control_after_generate),
                "image_folder": plain(self.image_folder),
                "remote": self.remote,
            }
            if self.upload is not None:
                said[plain(self.upload)] = True
            return {**super().as_dict(), **known(said)}

    class Output(Output):
        """A combo's value; its type is the list of choices when they are told."""

        def __init__(
            self,
            id: str | None = None,
            display_name: str | None = None,
            options: Any = None,
            tooltip: str | None = None,
            is_output_list: bool = False,
            **more: Any,
        ):
            super().__init__(id, display_name, tooltip, is_output_list, **more)
            self.options = listed(options)

        def get_io_type(self) -> Any:
            return self.options if self.options else self.io_type


@comfytype(io_type="COMBO")
class MultiCombo(ComfyTypeI):
    """Several of a list."""

    Type = list

    class Input(Combo.Input):
        multiselect = True

        def __init__(
            self,
            id: str,
            options: Any,
            *args: Any,
            placeholder: str | None = None,
            chip: bool | None = None,
            **more: Any,
        ):
            super().__init__(id, options, *args, **more)
            self.placeholder, self.chip = placeholder, chip

        def as_dict(self) -> dict[str, Any]:
            said = {"multi_select": True, "placeholder": self.placeholder, "chip": self.chip}
            return {**super().as_dict(), **known(said)}


@comfytype(io_type="WEBCAM")
class Webcam(ComfyTypeIO):
    Type = str

    class Input(WidgetInput):
        pass


class MultiType:
    """An input that takes several types."""

    Type = Any

    class Input(Input):
        """id: a name, or an input with a widget of one of the types. types: the others."""

        def __init__(self, id: Any, types: list[Any], *args: Any, **more: Any):
            self.widget = id if isinstance(id, Input) else None
            if self.widget is not None:
                more.setdefault("optional", self.widget.optional)
            super().__init__(self.widget.id if self.widget else id, *args, **more)
            self.types = types

        def get_io_type(self) -> str:
            named = [*([self.widget.get_io_type()] if self.widget else []), *(kind.io_type for kind in self.types)]
            return ",".join(dict.fromkeys(named))

        def as_dict(self) -> dict[str, Any]:
            if self.widget is None:
                return super().as_dict()
            return {**self.widget.as_dict(), **super().as_dict(), "widgetType": self.widget.get_io_type()}
