"""Records of architectures: how a network is built, on which latents it works, how it was trained."""

from comfy import latent_formats


class ClipTarget:
    def __init__(self, tokenizer, clip):
        self.tokenizer, self.clip, self.params = tokenizer, clip, {}


class BASE:
    unet_config = {}
    unet_extra_config = {"num_heads": -1, "num_head_channels": 64}
    required_keys = {}
    clip_prefix = []
    clip_vision_prefix = None
    noise_aug_config = None
    sampling_settings = {}
    latent_format = latent_formats.LatentFormat
    vae_key_prefix = ["first_stage_model."]
    text_encoder_key_prefix = ["cond_stage_model."]
    supported_inference_dtypes = []
    memory_usage_factor = 2.0
    manual_cast_dtype = None
    custom_operations = None
    scaled_fp8 = None
    optimizations = {"fp8": False}

    def __init__(self, unet_config):
        self.unet_config = {**type(self).unet_config, **unet_config}
        self.sampling_settings = dict(type(self).sampling_settings)
        self.latent_format = type(self).latent_format()
        self.optimizations = dict(type(self).optimizations)
        for name, value in type(self).unet_extra_config.items():
            self.unet_config.setdefault(name, value)

    @classmethod
    def matches(cls, unet_config, state_dict=None):
        return all(unet_config.get(name) == value for name, value in cls.unet_config.items())

    def model_type(self, state_dict, prefix=""):
        from comfy.model_base import ModelType

        return ModelType.EPS

    def inpaint_model(self):
        return self.unet_config.get("in_channels", 0) > 4

    def set_inference_dtype(self, dtype, manual_cast_dtype):
        self.unet_config["dtype"] = dtype
        self.manual_cast_dtype = manual_cast_dtype

    def get_model(self, state_dict, prefix="", device=None):
        from compat.placeholder import NotPromised

        raise NotPromised(f"{type(self).__name__}.get_model")

    def clip_target(self, state_dict={}):
        return None

    def __getattr__(self, name):
        # What nobody set is not set, as in the records packs read.
        if name.startswith("__"):
            raise AttributeError(name)
        return None
