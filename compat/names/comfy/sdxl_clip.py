"""The text models of SDXL, by the classes packs tell them by."""

from comfy import sd1_clip


class SDXLClipG(sd1_clip.SDClipModel):
    def __init__(
        self,
        device="cpu",
        max_length=77,
        freeze=True,
        layer="penultimate",
        layer_idx=None,
        dtype=None,
        model_options={},
    ):
        super().__init__(device, max_length, freeze, layer, -2 if layer == "penultimate" else layer_idx, dtype=dtype)


class SDXLClipGTokenizer(sd1_clip.SDTokenizer):
    def __init__(self, tokenizer_path=None, embedding_directory=None, tokenizer_data={}):
        super().__init__(
            tokenizer_path,
            pad_with_end=False,
            embedding_directory=embedding_directory,
            embedding_size=1280,
            embedding_key="clip_g",
        )


class SDXLTokenizer(sd1_clip.SD1Tokenizer):
    pass


class SDXLClipModel(sd1_clip.SD1ClipModel):
    def __init__(self, device="cpu", dtype=None, model_options={}):
        super().__init__(device, dtype)

    @classmethod
    def of(cls, handle, kinds=None):
        return super().of(handle, {"clip_g": SDXLClipG, **(kinds or {})})


class SDXLRefinerClipModel(sd1_clip.SD1ClipModel):
    @classmethod
    def of(cls, handle, kinds=None):
        return super().of(handle, {"clip_g": SDXLClipG, **(kinds or {})})


class StableCascadeClipModel(sd1_clip.SD1ClipModel):
    pass
