"""The types that travel between nodes, each a class with an `Input` and an `Output` of its own."""

from collections.abc import Callable
from typing import Any

from comfy_api.latest.io.inputs import Input, Output


class _Kind(type):
    def __getattr__(cls, name: str) -> Any:
        """Types have further names for what they hold (`io.Latent.LatentDict`, …), which packs annotate with."""
        if name[:1].isupper() and name not in ("Input", "Output"):
            return Any
        raise AttributeError(f"{cls.__name__} has no {name}")


class ComfyType(metaclass=_Kind):
    """A type by its name on the wire."""

    io_type: str = "*"
    Type: Any = Any


class ComfyTypeI(ComfyType):
    """A type that can only be received."""

    class Input(Input):
        pass


class ComfyTypeIO(ComfyTypeI):
    """A type that can be received and made."""

    class Output(Output):
        pass


def comfytype(io_type: str, **more: Any) -> Callable[[type], type]:
    """Decorator: give a class its name on the wire, and to its `Input` and `Output` too."""

    def decorate(cls: type) -> type:
        cls.io_type = io_type
        for side in ("Input", "Output"):
            base = getattr(cls, side, None)
            if base is not None:
                own = {"io_type": io_type, "Parent": cls, "__module__": cls.__module__}
                setattr(cls, side, type(side, (base,), {**own, "__qualname__": f"{cls.__qualname__}.{side}"}))
        return cls

    return decorate


def Custom(io_type: str) -> Any:
    """A type of a pack's own."""
    return comfytype(io_type)(_Kind(io_type, (ComfyTypeIO,), {"__module__": __name__}))


SOCKETS = {
    "Image": "IMAGE",
    "Mask": "MASK",
    "Latent": "LATENT",
    "Conditioning": "CONDITIONING",
    "Model": "MODEL",
    "Clip": "CLIP",
    "Vae": "VAE",
    "ControlNet": "CONTROL_NET",
    "ClipVision": "CLIP_VISION",
    "ClipVisionOutput": "CLIP_VISION_OUTPUT",
    "StyleModel": "STYLE_MODEL",
    "Gligen": "GLIGEN",
    "UpscaleModel": "UPSCALE_MODEL",
    "LatentUpscaleModel": "LATENT_UPSCALE_MODEL",
    "Photomaker": "PHOTOMAKER",
    "Sampler": "SAMPLER",
    "Sigmas": "SIGMAS",
    "Noise": "NOISE",
    "Guider": "GUIDER",
    "LatentOperation": "LATENT_OPERATION",
    "TimestepsRange": "TIMESTEPS_RANGE",
    "Hooks": "HOOKS",
    "HookKeyframes": "HOOK_KEYFRAMES",
    "ModelPatch": "MODEL_PATCH",
    "LoraModel": "LORA_MODEL",
    "LossMap": "LOSS_MAP",
    "AudioEncoder": "AUDIO_ENCODER",
    "AudioEncoderOutput": "AUDIO_ENCODER_OUTPUT",
    "Audio": "AUDIO",
    "Video": "VIDEO",
    "SVG": "SVG",
    "Voxel": "VOXEL",
    "Mesh": "MESH",
    "Load3D": "LOAD_3D",
    "Load3DAnimation": "LOAD_3D_ANIMATION",
    "Load3DCamera": "LOAD3D_CAMERA",
    "WanCameraEmbedding": "WAN_CAMERA_EMBEDDING",
    "Tracks": "TRACKS",
    "FlowControl": "FLOW_CONTROL",
    "Accumulation": "ACCUMULATION",
    "Point": "POINT",
    "FaceAnalysis": "FACE_ANALYSIS",
    "BBOX": "BBOX",
    "SEGS": "SEGS",
    "AnyType": "*",
    "ImageCompare": "IMAGECOMPARE",
    "Color": "COLOR",
    "Colors": "COLORS",
    "BoundingBox": "BOUNDING_BOX",
    "BoundingBoxes": "BOUNDING_BOXES",
    "Curve": "CURVE",
    "Histogram": "HISTOGRAM",
    "Range": "RANGE",
    "VideoEdit": "VIDEO_EDIT",
    "ResolutionPreview": "RESOLUTION_PREVIEW",
    "File3D": "FILE_3D",
    "BackgroundRemoval": "BACKGROUND_REMOVAL",
}
"""Types that only other nodes make: name here → name on the wire."""


def sockets() -> dict[str, type]:
    """One class for each of SOCKETS."""
    return {
        name: comfytype(wire)(_Kind(name, (ComfyTypeIO,), {"__module__": __name__})) for name, wire in SOCKETS.items()
    }
