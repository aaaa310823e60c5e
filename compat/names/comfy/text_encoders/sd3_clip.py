"""The text model of Stable Diffusion 3."""

from comfy import sd1_clip
from comfy.sdxl_clip import SDXLClipG


class T5XXLModel(sd1_clip.SDClipModel):
    def __init__(self, device="cpu", layer="last", layer_idx=None, dtype=None, attention_mask=False, model_options={}):
        super().__init__(device, layer=layer, layer_idx=layer_idx, dtype=dtype, enable_attention_masks=attention_mask)


class T5XXLTokenizer(sd1_clip.SDTokenizer):
    pass


class SD3Tokenizer(sd1_clip.SD1Tokenizer):
    pass


class SD3ClipModel(sd1_clip.SD1ClipModel):
    def __init__(
        self, clip_l=True, clip_g=True, t5=True, dtype_t5=None, t5_attention_mask=False, device="cpu", dtype=None,
        model_options={},
    ):  # fmt: skip
        super().__init__(device, dtype)

    @classmethod
    def of(cls, handle, kinds=None):
        return super().of(handle, {"clip_g": SDXLClipG, "t5xxl": T5XXLModel, **(kinds or {})})
