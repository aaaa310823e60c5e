"""`ui`: what a node shows on the page, and helpers that save what is shown."""

from collections.abc import Iterable
from typing import Any

from comfy_api.latest.io.widgets import FolderType
from compat import saving


class SavedResult(dict):
    """A file that was saved, as the page asks for it."""

    def __init__(self, filename: str, subfolder: str, type: Any):
        super().__init__(filename=filename, subfolder=subfolder, type=FolderType(type).value)

    @property
    def filename(self) -> str:
        return self["filename"]

    @property
    def subfolder(self) -> str:
        return self["subfolder"]

    @property
    def type(self) -> FolderType:
        return FolderType(self["type"])


def _results(entries: Iterable[dict[str, str]]) -> list[SavedResult]:
    return [SavedResult(**entry) for entry in entries]


class _Ui:
    """Something to show; `as_dict` gives lists by key."""

    def as_dict(self) -> dict[str, Any]:
        raise NotImplementedError


class SavedImages(_Ui):
    def __init__(self, results: list[SavedResult], is_animated: bool = False):
        self.results, self.is_animated = results, is_animated

    def as_dict(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"images": list(self.results)}
        return {**shown, "animated": (True,)} if self.is_animated else shown


class SavedAudios(_Ui):
    def __init__(self, results: list[SavedResult]):
        self.results = results

    def as_dict(self) -> dict[str, Any]:
        return {"audio": list(self.results)}


class PreviewImage(_Ui):
    """image: (B, H, W, C), saved where files are only looked at. cls: the node's class, for its hidden values."""

    def __init__(self, image: Any, animated: bool = False, cls: Any = None, **more: Any):
        self.values = _results(saving.images(image, "", "temp", cls, compress_level=1))
        self.animated = animated

    def as_dict(self) -> dict[str, Any]:
        return SavedImages(self.values, self.animated).as_dict()


class PreviewMask(PreviewImage):
    """mask: (B, H, W)."""

    def __init__(self, mask: Any, animated: bool = False, cls: Any = None, **more: Any):
        pixels = mask.reshape((-1, 1, mask.shape[-2], mask.shape[-1])).movedim(1, -1).expand(-1, -1, -1, 3)
        super().__init__(pixels, animated, cls, **more)


class PreviewAudio(_Ui):
    """audio: {"waveform": (B, C, T), "sample_rate": Hz}."""

    def __init__(self, audio: Any, cls: Any = None, **more: Any):
        self.values = _results(saving.sounds(audio, "", "temp", cls))

    def as_dict(self) -> dict[str, Any]:
        return {"audio": self.values}


class PreviewVideo(_Ui):
    """values: videos that were saved already."""

    def __init__(self, values: list[Any], **more: Any):
        self.values = values

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (True,)}


class PreviewText(_Ui):
    def __init__(self, value: str, **more: Any):
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        return {"text": (self.value,)}


class PreviewUI3D(_Ui):
    """model_file: relative to the output folder. camera_info: where it is seen from."""

    def __init__(self, model_file: str, camera_info: Any = None, **more: Any):
        self.model_file, self.camera_info = model_file, camera_info

    def as_dict(self) -> dict[str, Any]:
        return {"result": [self.model_file, self.camera_info]}


class ImageSaveHelper:
    """Saves images (B, H, W, C). cls: the node's class, whose hidden values are written into the files."""

    @staticmethod
    def save_images(
        images: Any, filename_prefix: str, folder_type: Any, cls: Any, compress_level: int = 4
    ) -> list[SavedResult]:
        return _results(saving.images(images, filename_prefix, FolderType(folder_type).value, cls, compress_level))

    @staticmethod
    def get_save_images_ui(images: Any, filename_prefix: str, cls: Any, compress_level: int = 4) -> SavedImages:
        return SavedImages(ImageSaveHelper.save_images(images, filename_prefix, FolderType.output, cls, compress_level))

    @staticmethod
    def save_animated_png(
        images: Any, filename_prefix: str, folder_type: Any, cls: Any, fps: float, compress_level: int = 4
    ) -> SavedResult:
        where = FolderType(folder_type).value
        return SavedResult(**saving.animated_png(images, filename_prefix, where, cls, fps, compress_level))

    @staticmethod
    def get_save_animated_png_ui(
        images: Any, filename_prefix: str, cls: Any, fps: float, compress_level: int = 4
    ) -> SavedImages:
        saved = ImageSaveHelper.save_animated_png(images, filename_prefix, "output", cls, fps, compress_level)
        return SavedImages([saved], is_animated=True)

    @staticmethod
    def save_animated_webp(
        images: Any,
        filename_prefix: str,
        folder_type: Any,
        cls: Any,
        fps: float,
        lossless: bool = True,
        quality: int = 80,
        method: int = 4,
    ) -> SavedResult:
        where = FolderType(folder_type).value
        return SavedResult(**saving.animated_webp(images, filename_prefix, where, cls, fps, lossless, quality, method))

    @staticmethod
    def get_save_animated_webp_ui(
        images: Any,
        filename_prefix: str,
        cls: Any,
        fps: float,
        lossless: bool = True,
        quality: int = 80,
        method: int = 4,
    ) -> SavedImages:
        saved = ImageSaveHelper.save_animated_webp(
            images, filename_prefix, "output", cls, fps, lossless, quality, method
        )
        return SavedImages([saved], is_animated=True)


class AudioSaveHelper:
    """Saves audio. format: "flac", "mp3", "opus" or "wav"; all but the last need PyAV."""

    @staticmethod
    def save_audio(
        audio: Any, filename_prefix: str, folder_type: Any, cls: Any, format: str = "flac", quality: str = "128k"
    ) -> list[SavedResult]:
        return _results(saving.sounds(audio, filename_prefix, FolderType(folder_type).value, cls, format, quality))

    @staticmethod
    def get_save_audio_ui(
        audio: Any, filename_prefix: str, cls: Any, format: str = "flac", quality: str = "128k"
    ) -> SavedAudios:
        return SavedAudios(AudioSaveHelper.save_audio(audio, filename_prefix, FolderType.output, cls, format, quality))
