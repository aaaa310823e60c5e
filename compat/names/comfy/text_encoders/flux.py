"""The text model of Flux."""

from comfy import sd1_clip
from comfy.text_encoders.sd3_clip import T5XXLModel


class FluxTokenizer(sd1_clip.SD1Tokenizer):
    pass


class FluxClipModel(sd1_clip.SD1ClipModel):
    @classmethod
    def of(cls, handle, kinds=None):
        return super().of(handle, {"t5xxl": T5XXLModel, **(kinds or {})})
