"""Types for authors of nodes of the older style."""

from abc import ABC
from enum import Enum
from typing import Any, Literal, TypedDict


class StrEnum(str, Enum):
    def __str__(self):
        return self.value


class IO(StrEnum):
    """Names of sockets; each equals its text. ANY is unlike nothing."""

    STRING = "STRING"
    IMAGE = "IMAGE"
    MASK = "MASK"
    LATENT = "LATENT"
    BOOLEAN = "BOOLEAN"
    INT = "INT"
    FLOAT = "FLOAT"
    COMBO = "COMBO"
    CONDITIONING = "CONDITIONING"
    SAMPLER = "SAMPLER"
    SIGMAS = "SIGMAS"
    GUIDER = "GUIDER"
    NOISE = "NOISE"
    CLIP = "CLIP"
    CONTROL_NET = "CONTROL_NET"
    VAE = "VAE"
    MODEL = "MODEL"
    LORA_MODEL = "LORA_MODEL"
    LOSS_MAP = "LOSS_MAP"
    CLIP_VISION = "CLIP_VISION"
    CLIP_VISION_OUTPUT = "CLIP_VISION_OUTPUT"
    STYLE_MODEL = "STYLE_MODEL"
    GLIGEN = "GLIGEN"
    UPSCALE_MODEL = "UPSCALE_MODEL"
    AUDIO = "AUDIO"
    WEBCAM = "WEBCAM"
    POINT = "POINT"
    FACE_ANALYSIS = "FACE_ANALYSIS"
    BBOX = "BBOX"
    SEGS = "SEGS"
    VIDEO = "VIDEO"
    PRIMITIVE = "STRING,FLOAT,INT,BOOLEAN"
    NUMBER = "FLOAT,INT"
    ANY = "*"

    def __ne__(self, value):
        if self.value == "*" or value == "*":
            return False
        if not isinstance(value, str):
            return True
        return set(self.value.split(",")).isdisjoint(value.split(","))

    def __eq__(self, value):
        return str.__eq__(self.value, str(value.value) if isinstance(value, Enum) else value) is True

    __hash__ = str.__hash__


class RemoteInputOptions(TypedDict, total=False):
    route: str
    refresh_button: bool
    control_after_refresh: Literal["first", "last"]
    timeout: int
    max_retries: int
    refresh: int


class MultiSelectOptions(TypedDict, total=False):
    placeholder: str
    chip: bool


class InputTypeOptions(TypedDict, total=False):
    default: Any
    defaultInput: bool
    forceInput: bool
    lazy: bool
    rawLink: bool
    tooltip: str
    min: float
    max: float
    step: float
    round: float
    label_on: str
    label_off: str
    multiline: bool
    placeholder: str
    dynamicPrompts: bool
    display: str
    image_upload: bool
    remote: RemoteInputOptions
    control_after_generate: bool
    options: list[Any]
    multi_select: MultiSelectOptions
    socketless: bool
    widgetType: str


class HiddenInputTypeDict(TypedDict, total=False):
    node_id: str
    unique_id: str
    prompt: str
    extra_pnginfo: str
    dynprompt: str


class InputTypeDict(TypedDict, total=False):
    required: dict[str, Any]
    optional: dict[str, Any]
    hidden: HiddenInputTypeDict


class ComfyNodeABC(ABC):
    """A base that says what a class may have; none of it is needed."""

    DESCRIPTION: str
    CATEGORY: str
    EXPERIMENTAL: bool
    DEPRECATED: bool
    API_NODE: bool

    @classmethod
    def INPUT_TYPES(cls) -> InputTypeDict:
        return {"required": {}}

    OUTPUT_NODE: bool
    INPUT_IS_LIST: bool
    OUTPUT_IS_LIST: tuple[bool, ...]
    RETURN_TYPES: tuple
    RETURN_NAMES: tuple
    OUTPUT_TOOLTIPS: tuple
    FUNCTION: str


class CheckLazyMixin:
    """Asks for every lazy input."""

    def check_lazy_status(self, **kwargs):
        return [name for name, value in kwargs.items() if value is None or value == (None,)]


class FileLocator(TypedDict):
    filename: str
    subfolder: str
    type: Literal["input", "output", "temp"]
