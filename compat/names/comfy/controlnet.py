"""CONTROL_NET objects: a hint, a strength, a share of the run, and what they add inside a network."""

from dataclasses import replace
from enum import Enum
from types import SimpleNamespace

import torch

from comfy import utils
from compat.border import outward
from compat.inside.network import control_dict, control_of
from compat.inside.places import here
from compat.world import world
from diffusion.handles import ControlNet as Handle
from diffusion.images.batch import repeat_to
from diffusion.models.t2i_adapter import T2IAdapter as AdapterNetwork
from diffusion.patches.hooks import Control
from diffusion.sampling.control import ControlCall, ControlLink


class StrengthType(Enum):
    CONSTANT = 1
    LINEAR_UP = 2


def broadcast_image_to(tensor, target_batch_size, batched_number):
    """A hint for a batch of so many chunks."""
    if tensor.shape[0] == 1:
        return tensor
    each = target_batch_size // batched_number
    return torch.cat([repeat_to(tensor, each)] * batched_number)[:target_batch_size]


def always(percent):
    return 999999999.9 if percent <= 0.0 else 0.0


class _Always:
    """Levels for a link that acts in every call it is asked."""

    def percent_to_sigma(self, percent):
        return float("inf") if percent <= 0 else 0.0


class _AsGiven:
    """The schedule of a model whose input is scaled already."""

    def __init__(self, call: ControlCall):
        self._call = call

    def calculate_input(self, sigma, noise):
        return noise

    def timestep(self, sigma):
        return self._call.timesteps


class ControlBase:
    """Also a `ControlSource` of the library: our own sampler asks `control`."""

    def __init__(self):
        self.cond_hint_original = None
        self.cond_hint = None
        self.strength = 1.0
        self.timestep_percent_range = (0.0, 1.0)
        self.latent_format = None
        self.vae = None
        self.global_average_pooling = False
        self.timestep_range = None
        self.compression_ratio = 8
        self.upscale_algorithm = "nearest-exact"
        self.extra_args = {}
        self.previous_controlnet = None
        self.extra_conds = []
        self.strength_type = StrengthType.CONSTANT
        self.concat_mask = False
        self.extra_concat_orig = []
        self.extra_concat = None
        self.extra_hooks = None
        self.preprocess_image = lambda image: image

    def set_cond_hint(self, cond_hint, strength=1.0, timestep_percent_range=(0.0, 1.0), vae=None, extra_concat=[]):
        """cond_hint: (B, C, H, W) in 0…1."""
        self.cond_hint_original = cond_hint
        self.strength = strength
        self.timestep_percent_range = timestep_percent_range
        self.vae = vae
        self.extra_concat_orig = list(extra_concat)
        return self

    def pre_run(self, model, percent_to_timestep_function):
        start, end = self.timestep_percent_range
        self.timestep_range = (percent_to_timestep_function(start), percent_to_timestep_function(end))
        if self.previous_controlnet is not None:
            self.previous_controlnet.pre_run(model, percent_to_timestep_function)

    def set_previous_controlnet(self, controlnet):
        self.previous_controlnet = controlnet
        return self

    def cleanup(self):
        if self.previous_controlnet is not None:
            self.previous_controlnet.cleanup()
        self.cond_hint = None
        self.extra_concat = None
        self.timestep_range = None

    def get_models(self):
        return [] if self.previous_controlnet is None else self.previous_controlnet.get_models()

    def get_extra_hooks(self):
        mine = [] if self.extra_hooks is None else [self.extra_hooks]
        return mine if self.previous_controlnet is None else mine + self.previous_controlnet.get_extra_hooks()

    def copy_to(self, c):
        for name in (
            "cond_hint_original", "strength", "timestep_percent_range", "global_average_pooling", "compression_ratio",
            "upscale_algorithm", "latent_format", "vae", "strength_type", "concat_mask", "extra_hooks",
            "preprocess_image",
        ):  # fmt: skip
            setattr(c, name, getattr(self, name))
        c.extra_args = dict(self.extra_args)
        c.extra_conds = list(self.extra_conds)
        c.extra_concat_orig = list(self.extra_concat_orig)

    def inference_memory_requirements(self, dtype):
        return 0 if self.previous_controlnet is None else self.previous_controlnet.inference_memory_requirements(dtype)

    def control_merge(self, control, control_prev, output_dtype=None):
        """Residuals scaled by strength, with those of the control before."""
        out = {"input": [], "middle": [], "output": []}
        for place, tensors in control.items():
            count = len(tensors)
            for i, tensor in enumerate(tensors):
                if tensor is not None:
                    if self.global_average_pooling:
                        tensor = tensor.mean(dim=(2, 3), keepdim=True).expand_as(tensor)
                    linear = self.strength_type == StrengthType.LINEAR_UP
                    tensor = tensor * (self.strength ** float(count - i) if linear else self.strength)
                    if output_dtype is not None and tensor.dtype != output_dtype:
                        tensor = tensor.to(output_dtype)
                out.setdefault(place, []).append(tensor)
        for place, tensors in (control_prev or {}).items():
            mine = out.setdefault(place, [])
            for i, tensor in enumerate(tensors):
                if i >= len(mine):
                    mine.append(tensor)
                elif tensor is not None:
                    mine[i] = tensor if mine[i] is None else mine[i] + tensor
        return out

    def set_extra_arg(self, argument, value=None):
        self.extra_args[argument] = value

    def _before(self, x_noisy, t, cond, batched_number, transformer_options):
        if self.previous_controlnet is None:
            return None
        return self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)

    def _is_off(self, t):
        if self.timestep_range is None:
            return False
        return bool(t[0] > self.timestep_range[0] or t[0] < self.timestep_range[1])

    @property
    def driver(self):
        """A kind of control that a pack wrote is run by the loop it was written for."""
        from compat.inside.driver import drive

        return None if getattr(self, "native", None) is not None else drive

    def control(self, call: ControlCall) -> Control | None:
        """As our own sampler asks."""
        self.pre_run(SimpleNamespace(model_sampling=_AsGiven(call)), call.levels.percent_to_sigma)
        sigma = torch.full((call.x.shape[0],), call.sigma)
        cond = {"c_crossattn": call.context, "y": call.y}
        return control_of(self.get_control(call.x, sigma, cond, 1, {}))


class ControlNet(ControlBase):
    """control_model: a network of ours, or of a pack's called as (x=, hint=, timesteps=, context=, **extra)."""

    def __init__(
        self, control_model=None, global_average_pooling=False, compression_ratio=8, latent_format=None,
        load_device=None, manual_cast_dtype=None, extra_conds=["y"], strength_type=StrengthType.CONSTANT,
        concat_mask=False, preprocess_image=lambda a: a,
    ):  # fmt: skip
        super().__init__()
        self.control_model = control_model
        self.load_device = load_device
        self.global_average_pooling = global_average_pooling
        self.compression_ratio = compression_ratio
        self.manual_cast_dtype = manual_cast_dtype
        self.latent_format = latent_format
        self.extra_conds = list(extra_conds)
        self.strength_type = strength_type
        self.concat_mask = concat_mask
        self.preprocess_image = preprocess_image
        self.model_sampling_current = None
        self.native: Handle | None = None
        self.native_link: ControlLink | None = None
        self.control_model_wrapped = None
        if control_model is not None:
            self._wrap()

    def _wrap(self):
        from comfy.model_management import unet_offload_device
        from comfy.model_patcher import ModelPatcher

        parameter = next(self.control_model.parameters(), torch.zeros(()))
        device = self.load_device or parameter.device
        self.control_model_wrapped = ModelPatcher(self.control_model, device, unet_offload_device())

    @classmethod
    def of(cls, handle: Handle) -> "ControlNet":
        made = cls(handle.network)
        made.native = handle
        return made

    def pre_run(self, model, percent_to_timestep_function):
        super().pre_run(model, percent_to_timestep_function)
        self.model_sampling_current = getattr(model, "model_sampling", None)

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options={}):
        """{"input", "middle", "output"}: lists taken from the end, or None."""
        before = self._before(x_noisy, t, cond, batched_number, transformer_options)
        if self._is_off(t):
            return before
        schedule = self.model_sampling_current
        shown = x_noisy if schedule is None else schedule.calculate_input(t, x_noisy)
        times = t if schedule is None else schedule.timestep(t)
        if self.native is not None:
            made = self._of_native(shown, times, cond, t)
        else:
            hint = self._hint(x_noisy, batched_number)
            context = cond.get("c_crossattn")
            extra = {name: cond[name] for name in self.extra_conds if cond.get(name) is not None}
            made = self.control_model(
                x=shown, hint=hint, timesteps=times.float(), context=context, **extra, **self.extra_args
            )
        return self.control_merge(made, before)

    def _of_native(self, shown, times, cond, sigma):
        """By the library's own link, with its hint, at full strength."""
        link = replace(
            self.native_link or ControlLink(self.native, self.cond_hint_original.movedim(1, -1)),
            hint=self.cond_hint_original.movedim(1, -1), strength=1.0, start_percent=0.0, end_percent=1.0,
            previous=None, vae=self._vae(),
        )  # fmt: skip
        names = ("c_crossattn", "y", "c_concat", "transformer_options", "context_bias")
        extra = {name: tuple(v) if isinstance(v, list) else v for name, v in cond.items() if name not in names}
        call = ControlCall(
            shown, times, cond.get("c_crossattn"), cond.get("y"), float(sigma[0]), _Always(), extra, here
        )
        return control_dict(link.control(call))

    def _vae(self):
        if self.vae is None:
            return None if self.native_link is None else self.native_link.vae
        from compat.border import from_pack

        return from_pack(self.vae)

    def _hint(self, x_noisy, batched_number):
        width, height = x_noisy.shape[3] * self.compression_ratio, x_noisy.shape[2] * self.compression_ratio
        if self.cond_hint is None or self.cond_hint.shape[2:] != (height, width):
            hint = utils.common_upscale(self.cond_hint_original, width, height, self.upscale_algorithm, "center")
            self.cond_hint = self.preprocess_image(hint).to(x_noisy)
        return repeat_to(broadcast_image_to(self.cond_hint, x_noisy.shape[0], batched_number), x_noisy.shape[0])

    def copy(self):
        c = type(self)(None)
        c.control_model, c.control_model_wrapped = self.control_model, self.control_model_wrapped
        c.native, c.native_link, c.load_device = self.native, self.native_link, self.load_device
        c.manual_cast_dtype = self.manual_cast_dtype
        self.copy_to(c)
        return c

    def get_models(self):
        mine = [] if self.control_model_wrapped is None else [self.control_model_wrapped]
        return super().get_models() + mine

    def cleanup(self):
        self.model_sampling_current = None
        super().cleanup()


class ControlLora(ControlNet):
    """A control stored as low-rank changes to the model it controls. Files of this kind are not read here."""

    def __init__(self, control_weights=None, global_average_pooling=False, model_options={}):
        super().__init__(None, global_average_pooling)
        self.control_weights = control_weights


class T2IAdapter(ControlBase):
    """t2i_model: called with the hint, gives feature maps for input blocks."""

    def __init__(
        self, t2i_model=None, channels_in=3, compression_ratio=8, upscale_algorithm="nearest-exact", device=None
    ):
        super().__init__()
        self.t2i_model = t2i_model
        self.channels_in = channels_in
        self.control_input = None
        self.compression_ratio = compression_ratio
        self.upscale_algorithm = upscale_algorithm
        self.device = device
        self.native: Handle | None = None

    @classmethod
    def of(cls, handle: Handle) -> "T2IAdapter":
        made = cls(handle.network, handle.network.config.hint_channels)
        made.native = handle
        return made

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options={}):
        before = self._before(x_noisy, t, cond, batched_number, transformer_options)
        if self._is_off(t):
            return before
        width, height = x_noisy.shape[3] * 8, x_noisy.shape[2] * 8
        hint = utils.common_upscale(self.cond_hint_original, width, height, self.upscale_algorithm, "center")
        hint = repeat_to(hint, x_noisy.shape[0]).to(x_noisy)
        if self.channels_in == 1 and hint.shape[1] > 1:
            hint = hint.mean(dim=1, keepdim=True)
        made = here(self.t2i_model)(hint)
        made = (
            control_dict(made)
            if isinstance(made, Control)
            else {"input": list(reversed(made)), "middle": [], "output": []}
        )
        return self.control_merge(
            {place: found for place, found in made.items() if any(t is not None for t in found)}, before
        )

    def copy(self):
        c = type(self)(self.t2i_model, self.channels_in, self.compression_ratio, self.upscale_algorithm)
        c.native = self.native
        self.copy_to(c)
        return c


def object_of(handle: Handle):
    """A CONTROL_NET of ours as packs know it."""
    kind = T2IAdapter if isinstance(handle.network, AdapterNetwork) else ControlNet
    return kind.of(handle)


def handle_of(control) -> Handle:
    """The way back; a control that a pack built itself stays what it is, for nodes of packs."""
    return (
        control.native
        if getattr(control, "native", None) is not None and control.cond_hint_original is None
        else control
    )


def of_link(link: ControlLink):
    """A control at work, with those before it."""
    made = object_of(link.handle)
    made.set_cond_hint(link.hint.movedim(-1, 1), link.strength, (link.start_percent, link.end_percent))
    made.native_link = link
    if link.previous is not None:
        from compat.inside.controls import as_control

        made.set_previous_controlnet(as_control(link.previous))
    return made


def load_controlnet(ckpt_path, model=None, model_options={}):
    """A control file of any kind that is known; model: for files that hold differences. None for other files."""
    from comfy.model_patcher import handle_of as model_handle
    from diffusion.checkpoints.errors import CheckpointError

    try:
        return object_of(world().store.controlnet(ckpt_path, None if model is None else model_handle(model)))
    except CheckpointError:
        return None


outward(ControlBase, handle_of)
