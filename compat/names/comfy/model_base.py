"""`BaseModel`: a network with its schedule, its latent space and its way of reading conditionings, as packs see it."""

import logging
from enum import Enum

import torch

from comfy import conds, latent_formats, utils
from comfy import model_sampling as schedules
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from compat.inside.network import CONTEXT_BIAS, as_packs_call
from diffusion.handles import Model
from diffusion.patches.hooks import Role
from diffusion.sampling.conditioning import ATTENTION_BIAS, attention_bias, conditions
from diffusion.sampling.network_inputs import Latents, extra_inputs, joined_channels, vector_of

log = logging.getLogger(__name__)


class ModelType(Enum):
    EPS = 1
    V_PREDICTION = 2
    V_PREDICTION_EDM = 3
    STABLE_CASCADE = 4
    EDM = 5
    FLOW = 6
    V_PREDICTION_CONTINUOUS = 7
    FLUX = 8
    IMG_TO_IMG = 9
    FLOW_COSMOS = 10


def model_sampling(model_config, model_type):
    """An object of both halves for a prediction type."""
    predicts, schedule = schedules.model_sampling_classes(model_type)
    return type("ModelSampling", (schedule, predicts), {})(model_config)


def convert_tensor(extra, dtype, device=None):
    if isinstance(extra, torch.Tensor) and extra.is_floating_point():
        return extra.to(dtype=dtype)
    return extra


class BaseModel(torch.nn.Module):
    """handle: the model of ours that it stands for; None for one that a pack put together itself."""

    def __init__(self, model_config=None, model_type=ModelType.EPS, device=None, unet_model=None):
        super().__init__()
        self.handle: Model | None = None
        self.model_config = model_config
        unet_config = dict(getattr(model_config, "unet_config", None) or {})
        self.latent_format = getattr(model_config, "latent_format", None) or latent_formats.SD15()
        self.manual_cast_dtype = getattr(model_config, "manual_cast_dtype", None)
        self.device = device
        self.model_type = model_type
        if unet_model is not None and not unet_config.get("disable_unet_model_creation", False):
            self.diffusion_model = unet_model(**unet_config, device=device)
        self.model_sampling = model_sampling(model_config, model_type)
        self._begin()

    def _begin(self):
        self.adm_channels = int(getattr(self.model_config, "unet_config", {}).get("adm_in_channels") or 0)
        self.concat_keys = ()
        self.memory_usage_factor = 1.0
        self.memory_usage_factor_conds = ()
        self.current_patcher = None

    @classmethod
    def of(cls, handle: Model) -> "BaseModel":
        """The object for a model of ours."""
        from comfy import model_detection

        made = cls.__new__(cls)
        torch.nn.Module.__init__(made)
        made.handle = handle
        made.diffusion_model = as_packs_call(handle.network)
        made.model_config = model_detection.config_of(handle)
        made.latent_format = latent_formats.of_library(handle.latent)
        made.model_sampling = schedules.of_prediction(handle.prediction)
        made.model_type = type_of(handle)
        parameter = next(handle.network.parameters())
        made.device = parameter.device
        made.manual_cast_dtype = (
            torch.float32 if parameter.dtype in (torch.float16,) and parameter.device.type == "cpu" else None
        )
        made._begin()
        made.memory_usage_factor = handle.family.activation_factor
        if int(getattr(handle.config, "in_channels", handle.latent.channels)) > handle.latent.channels:
            made.concat_keys = ("concat_image",)
        return made

    # Sampling

    def apply_model(self, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        """The clean latent as the network estimates it. x: (B, C, …). t: sigmas, (B,)."""
        wrappers = get_all_wrappers(WrappersMP.APPLY_MODEL, transformer_options)
        executor = WrapperExecutor.new_class_executor(self._apply_model, self, wrappers)
        return executor.execute(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

    def _apply_model(self, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        sigma = t
        shown = self.model_sampling.calculate_input(sigma, x)
        if c_concat is not None:
            shown = torch.cat([shown, c_concat], dim=1)
        times = self.model_sampling.timestep(t).float()
        output = self.diffusion_model(
            shown, times, context=c_crossattn, control=control, transformer_options=transformer_options, **kwargs
        )
        output = output.float()
        if self.handle is not None and output.shape[1] > x.shape[1]:
            output = output[:, : x.shape[1]]
        return self.model_sampling.calculate_denoised(sigma, output, x)

    def get_dtype(self):
        return next(self.diffusion_model.parameters()).dtype

    def get_dtype_inference(self):
        return self.manual_cast_dtype or self.get_dtype()

    def process_timestep(self, timestep, **kwargs):
        return timestep

    # Conditionings

    def _condition(self, kwargs):
        context = kwargs.get("cross_attn")
        if context is None:
            context = torch.zeros(1, 0, 0)
        return conditions([(context, kwargs)])[0]

    def _latents(self, kwargs):
        noise = kwargs["noise"]
        latent = kwargs.get("latent_image")
        mask = kwargs.get("concat_mask", kwargs.get("denoise_mask"))
        latent = noise if latent is None else latent
        if isinstance(mask, torch.Tensor) and mask.ndim == 4:
            mask = mask[:, :1]
        return Latents(latent, mask, kwargs.get("seed") or 0)

    def encode_adm(self, **kwargs):
        """The vector condition (B, V), or None."""
        if self.handle is None:
            return None
        role: Role = "negative" if kwargs.get("prompt_type") == "negative" else "positive"
        return vector_of(self.handle, self._condition(kwargs), role, self._latents(kwargs))

    def concat_cond(self, **kwargs):
        """Channels that follow those of the latent, or None."""
        if self.handle is None:
            return None
        return joined_channels(self.handle, self._condition(kwargs), self._latents(kwargs))

    def extra_conds(self, **kwargs):
        """Name of an argument of the network → what it is given, as a `comfy.conds` object."""
        out = {}
        concat = self.concat_cond(**kwargs)
        if concat is not None:
            out["c_concat"] = conds.CONDNoiseShape(concat)
        vector = self.encode_adm(**kwargs)
        if vector is not None:
            out["y"] = conds.CONDRegular(vector)
        cross_attn = kwargs.get("cross_attn")
        if self.handle is not None:
            for name, value in extra_inputs(self.handle, self._condition(kwargs), self._latents(kwargs)).items():
                out[name] = conds.CONDRegular(value) if isinstance(value, torch.Tensor) else conds.CONDList(list(value))
        if cross_attn is not None:
            # Where text and picture attend to each other, a text may not be repeated to another's length.
            jointly = self.handle is not None and self.handle.family.attends_jointly
            out["c_crossattn"] = (conds.CONDRegular if jointly else conds.CONDCrossAttn)(cross_attn)
            if ATTENTION_BIAS in kwargs:
                bias = attention_bias(kwargs, cross_attn.shape[1])
                out[CONTEXT_BIAS] = conds.CONDCrossAttn(bias.unsqueeze(-1))
        return out

    def extra_conds_shapes(self, **kwargs):
        return {}

    # Latents and weights

    def process_latent_in(self, latent):
        return self.latent_format.process_in(latent)

    def process_latent_out(self, latent):
        return self.latent_format.process_out(latent)

    def scale_latent_inpaint(self, sigma, noise, latent_image, **kwargs):
        """The kept part of a picture at a level of noise."""
        sigma = schedules.reshape_sigma(sigma, noise.ndim)
        return self.model_sampling.noise_scaling(sigma, noise, latent_image)

    def memory_required(self, input_shape, cond_shapes={}):
        """Bytes, roughly: what attention and feature maps take for a latent of this shape."""
        area = input_shape[0] * torch.Size(input_shape[2:]).numel()
        return area * self.get_dtype_inference().itemsize * 50 * 1024 * self.memory_usage_factor / 64

    def is_adm(self):
        return self.adm_channels > 0

    def load_model_weights(self, sd, unet_prefix="", assign=False):
        weights = {name[len(unet_prefix) :]: sd.pop(name) for name in list(sd) if name.startswith(unet_prefix)}
        missing, unexpected = self.diffusion_model.load_state_dict(weights, strict=False, assign=assign)
        if missing:
            log.warning("weights that are missing: %s", missing)
        if unexpected:
            log.warning("weights that belong to nothing: %s", unexpected)
        return self

    def state_dict_for_saving(self, clip_state_dict=None, vae_state_dict=None, clip_vision_state_dict=None):
        tensors = utils.state_dict_prefix_replace(
            dict(self.diffusion_model.state_dict()), {"": "model.diffusion_model."}, filter_keys=True
        )
        for more in (clip_state_dict, vae_state_dict, clip_vision_state_dict):
            tensors.update(more or {})
        return tensors


class IP2P:
    """Mixed into models that edit a picture they are shown."""


def _lines(base, *names):
    """Classes that packs tell model lines by."""
    for name in names:
        globals()[name] = type(name, base if isinstance(base, tuple) else (base,), {"__module__": __name__})


_lines(
    BaseModel,
    "SD15_instructpix2pix",
    "SDXLRefiner",
    "SDXL",
    "SD21UNCLIP",
    "SVD_img2vid",
    "Stable_Zero123",
    "SD_X4Upscaler",
    "StableCascade_C",
    "StableCascade_B",
    "SD3",
    "AuraFlow",
    "StableAudio1",
    "HunyuanDiT",
    "PixArt",
    "Flux",
    "GenmoMochi",
    "LTXV",
    "LTXAV",
    "HunyuanVideo",
    "CosmosVideo",
    "CosmosPredict2",
    "Anima",
    "Lumina2",
    "WAN21",
    "Hunyuan3Dv2",
    "Hunyuan3Dv2_1",
    "HiDream",
    "ACEStep",
    "Omnigen2",
    "QwenImage",
    "HunyuanImage21",
)
_lines((IP2P, globals()["SDXL"]), "SDXL_instructpix2pix")
_lines(globals()["SVD_img2vid"], "SV3D_u")
_lines(globals()["SV3D_u"], "SV3D_p")
_lines(globals()["Flux"], "LongCatImage", "Chroma")
_lines(globals()["HunyuanVideo"], "HunyuanVideoI2V", "HunyuanVideoSkyreelsI2V")
_lines(globals()["WAN21"], "WAN21_Vace", "WAN21_Camera", "WAN21_HuMo", "WAN22_S2V", "WAN22_Animate", "WAN22")
_lines(globals()["Chroma"], "ChromaRadiance")
_lines(globals()["HunyuanImage21"], "HunyuanImage21Refiner")

_BY_FAMILY = {
    "SDXL": "SDXL",
    "SDXL refiner": "SDXLRefiner",
    "SD3": "SD3",
    "Flux": "Flux",
    "AuraFlow": "AuraFlow",
}
"""The beginning of a family's name → the class of its line; the longest counts."""


def class_of(handle: Model) -> type[BaseModel]:
    """The class that packs tell a model line by; `BaseModel` for Stable Diffusion 1 and 2."""
    name = handle.family.name.replace(" ", "")
    fitting = [begin for begin in _BY_FAMILY if name.startswith(begin.replace(" ", ""))]
    return globals()[_BY_FAMILY[max(fitting, key=len)]] if fitting else BaseModel


def type_of(handle: Model) -> ModelType:
    kind, schedule = handle.prediction.kind, type(handle.prediction.schedule).__name__
    if kind == "flow":
        return ModelType.FLUX if getattr(handle.prediction.schedule, "multiplier", 1000) == 1.0 else ModelType.FLOW
    if kind == "v":
        return ModelType.V_PREDICTION if schedule == "BetaSchedule" else ModelType.V_PREDICTION_EDM
    return {"edm": ModelType.EDM, "img2img": ModelType.IMG_TO_IMG, "cosmos_flow": ModelType.FLOW_COSMOS}.get(
        kind, ModelType.EPS
    )
