"""Stands for packs that patch models and bring samplers, schedules and guiders."""

import comfy.model_patcher
import comfy.samplers
import torch
from comfy.k_diffusion import sampling as k_diffusion_sampling
from comfy.k_diffusion.sampling import to_d
from comfy.samplers import KSAMPLER, KSampler


@torch.no_grad()
def sample_stand_in(model, x, sigmas, extra_args=None, callback=None, disable=None, damp=1.0):
    extra_args = {} if extra_args is None else extra_args
    s_in = x.new_ones([x.shape[0]])
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * s_in, **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = x + to_d(x, sigmas[i] * s_in, denoised) * (sigmas[i + 1] - sigmas[i]) * damp
    return x


k_diffusion_sampling.sample_stand_in = sample_stand_in
if "stand_in" not in KSampler.SAMPLERS:
    KSampler.SAMPLERS.insert(KSampler.SAMPLERS.index("euler") + 1, "stand_in")


def straight(model_sampling, steps):
    return torch.cat([torch.linspace(float(model_sampling.sigma_max), 0.1, steps), torch.zeros(1)])


comfy.samplers.SCHEDULER_HANDLERS["straight"] = comfy.samplers.SchedulerHandler(handler=straight, use_ms=True)
KSampler.SCHEDULERS.append("straight")


class Rescale:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"model": ("MODEL",), "scale": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 10.0})}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "patcher"

    def patch(self, model, scale):
        m = model.clone()

        def cfg(args):
            return args["uncond"] + (args["cond"] - args["uncond"]) * args["cond_scale"] * scale

        m.set_model_sampler_cfg_function(cfg, disable_cfg1_optimization=True)
        return (m,)


class AttentionScale:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"model": ("MODEL",), "scale": ("FLOAT", {"default": 1.0})}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "patcher"

    def patch(self, model, scale):
        m = model.clone()
        m.set_model_attn2_output_patch(lambda out, extra_options: out * scale)
        return (m,)


class WeightScale:
    """Patches weights by their keys."""

    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"model": ("MODEL",), "strength": ("FLOAT", {"default": 1.0})}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "patcher"

    def patch(self, model, strength):
        m = model.clone()
        weights = m.model_state_dict("diffusion_model.out.")
        m.add_patches({key: (weight,) for key, weight in weights.items()}, strength)
        return (m,)


class Sampler:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"damp": ("FLOAT", {"default": 1.0})}}

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "get"
    CATEGORY = "patcher"

    def get(self, damp):
        return (KSAMPLER(sample_stand_in, {"damp": damp}),)


class Guider(comfy.samplers.CFGGuider):
    def set_scale(self, scale):
        self.scale = scale

    def predict_noise(self, x, timestep, model_options={}, seed=None):
        positive, negative = self.conds["positive"], self.conds["negative"]
        return comfy.samplers.sampling_function(
            self.inner_model, x, timestep, negative, positive, self.cfg * self.scale, model_options, seed
        )


class GetGuider:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {
                "model": ("MODEL",), "positive": ("CONDITIONING",), "negative": ("CONDITIONING",),
                "cfg": ("FLOAT", {"default": 1.0}), "scale": ("FLOAT", {"default": 1.0}),
            }
        }  # fmt: skip

    RETURN_TYPES = ("GUIDER",)
    FUNCTION = "get"
    CATEGORY = "patcher"

    def get(self, model, positive, negative, cfg, scale):
        guider = Guider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(cfg)
        guider.set_scale(scale)
        return (guider,)


class Efficient:
    """A whole picture in one node, by the core's own classes and functions."""

    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {
                "model": ("MODEL",), "positive": ("CONDITIONING",), "negative": ("CONDITIONING",), "vae": ("VAE",),
                "seed": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF}),
                "sampler_name": (KSampler.SAMPLERS,), "scheduler": (KSampler.SCHEDULERS,),
            }
        }  # fmt: skip

    RETURN_TYPES = ("IMAGE", "LATENT", "MODEL")
    FUNCTION = "go"
    CATEGORY = "patcher"

    def go(self, model, positive, negative, vae, seed, sampler_name, scheduler):
        from nodes import VAEDecode, common_ksampler

        latent = {"samples": torch.zeros(1, 4, 8, 8)}
        (samples,) = common_ksampler(model, seed, 2, 3.0, sampler_name, scheduler, positive, negative, latent)
        return VAEDecode().decode(vae, samples)[0], samples, model


assert issubclass(comfy.model_patcher.ModelPatcher, object)

NODE_CLASS_MAPPINGS = {
    f"Patcher{kind.__name__}": kind for kind in (Rescale, AttentionScale, WeightScale, Sampler, GetGuider, Efficient)
}
