"""The text model of Stable Diffusion 3."""

from comfy import sd1_clip
from comfy.sdxl_clip import SDXLClipG


class T5XXLModel(sd1_clip.SDClipModel):
    pass


class T5XXLTokenizer(sd1_clip.SDTokenizer):
    pass


class SD3Tokenizer(sd1_clip.SD1Tokenizer):
    pass


class SD3ClipModel(sd1_clip.SD1ClipModel):
    @classmethod
    def of(cls, handle, kinds=None):
        return super().of(handle, {"clip_g": SDXLClipG, "t5xxl": T5XXLModel, **(kinds or {})})
