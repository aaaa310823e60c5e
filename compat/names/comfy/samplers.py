"""Sampling as packs know it: conditionings to one estimate, guidance, samplers and schedules by name, guiders.

Everything a pack may replace is looked up when it is used, on this module or on the object it belongs to.
"""

import logging
import math
import uuid
from collections import namedtuple
from collections.abc import Callable
from typing import NamedTuple

import torch

from comfy import model_patcher, sampler_helpers
from comfy.k_diffusion import sampling as k_diffusion_sampling
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from compat.border import outward, outward_by_shape
from compat.inside import driver, guidance, native_sampler, places
from compat.inside.network import OUR_HOOKS
from diffusion.images.batch import repeat_to
from diffusion.patches.hooks import NO_HOOKS
from diffusion.sampling import schedules
from diffusion.sampling.grounding import grounding_of
from diffusion.sampling.solvers import SOLVERS

log = logging.getLogger(__name__)

RAMP = 8

# One estimate per conditioning


cond_obj = namedtuple("cond_obj", ["input_x", "mult", "conditioning", "area", "control", "patches", "uuid", "hooks"])


def add_area_dims(area, num_dims):
    """An area of fewer dimensions than the latent: whole along the first ones."""
    while len(area) // 2 < num_dims:
        half = len(area) // 2
        area = [2147483648, *area[:half], 0, *area[half:]]
    return area


def get_area_and_mult(conds, x_in, timestep_in):
    """What one entry is shown of x, with which weight, and what the network is given beside it. None while the entry
    does not act."""
    sigma = float(timestep_in[0])
    if "timestep_start" in conds and sigma > conds["timestep_start"]:
        return None
    if "timestep_end" in conds and sigma < conds["timestep_end"]:
        return None
    dims = x_in.ndim - 2
    area = None
    strength = conds.get("strength", 1.0)
    input_x = x_in
    if "area" in conds:
        area = list(add_area_dims(list(conds["area"]), dims))
        for d in range(dims):
            area[d] = min(input_x.shape[d + 2] - area[dims + d], area[d])
            input_x = input_x.narrow(d + 2, area[dims + d], area[d])
    if "mask" in conds:
        mask = conds["mask"]
        for d in range(dims):
            if area is not None and mask.shape[d + 1] == x_in.shape[d + 2]:
                mask = mask.narrow(d + 1, area[dims + d], area[d])
        mask = mask * conds.get("mask_strength", 1.0)
        mult = repeat_to(mask.unsqueeze(1), input_x.shape[0]).to(input_x) * strength
        mult = mult.expand(-1, input_x.shape[1], *mult.shape[2:])
    else:
        mult = torch.ones_like(input_x) * strength
        if area is not None:
            _fade(mult, area, x_in, dims)
    given = {
        name: cond.process_cond(batch_size=x_in.shape[0], area=area, device=x_in.device)
        for name, cond in conds["model_conds"].items()
    }
    patches = None
    grounding = grounding_of(conds)
    if grounding is not None:
        grounding = grounding if conds["gligen"][0] == "position" else grounding.empty()
        patches = grounding.computing(places.here).hooks(x_in)
    return cond_obj(
        input_x, mult, given, area, conds.get("control"), patches, conds.get("uuid", uuid.uuid4()), conds.get("hooks")
    )


def _fade(mult, area, x_in, dims):
    """Towards the edges of an area that are not edges of the picture."""
    for d in range(dims):
        ramp = min(RAMP, mult.shape[d + 2] // 4)
        for i in range(ramp):
            if area[dims + d] != 0:
                mult.narrow(d + 2, i, 1).mul_((i + 1) / ramp)
            if area[d] + area[dims + d] < x_in.shape[d + 2]:
                mult.narrow(d + 2, mult.shape[d + 2] - 1 - i, 1).mul_((i + 1) / ramp)


def cond_equal_size(c1, c2):
    if c1 is c2:
        return True
    return c1.keys() == c2.keys() and all(c1[name].can_concat(c2[name]) for name in c1)


def can_concat_cond(c1, c2):
    """Whether two entries can be answered in one batch."""
    if c1.input_x.shape != c2.input_x.shape or c1.control is not c2.control:
        return False
    if (c1.patches is None) != (c2.patches is None) or (c1.patches is not None and c1.patches is not c2.patches):
        return False
    return cond_equal_size(c1.conditioning, c2.conditioning)


def cond_cat(c_list):
    """Name → joined, of several entries' conditionings."""
    return {name: cond.concat([other[name] for other in c_list[1:]]) for name, cond in c_list[0].items()}


def finalize_default_conds(model, hooked_to_run, default_conds, x_in, timestep, model_options):
    """Default entries, with what the others leave of each position."""
    for i, defaults in enumerate(default_conds):
        for entry in defaults:
            found = get_area_and_mult(entry, x_in, timestep)
            if found is None:
                continue
            rest = torch.ones_like(x_in)
            for runs in hooked_to_run.values():
                for cond, which in runs:
                    if which == i:
                        _within(rest, cond.area).sub_(cond.mult)
            rest.clamp_(min=0)
            found = found._replace(mult=_within(rest, found.area))
            if torch.any(found.mult > 0):
                hooked_to_run.setdefault(entry.get("hooks"), []).append((found, i))


def _within(tensor, area):
    if area is not None:
        dims = len(area) // 2
        for d in range(dims):
            tensor = tensor.narrow(d + 2, area[dims + d], area[d])
    return tensor


def calc_cond_batch(model, conds, x_in, timestep, model_options):
    """One estimate for each conditioning (None among them gives zeros)."""
    wrappers = get_all_wrappers(WrappersMP.CALC_COND_BATCH, model_options, is_model_options=True)
    return WrapperExecutor.new_executor(_calc_cond_batch_outer, wrappers).execute(
        model, conds, x_in, timestep, model_options
    )


def _calc_cond_batch_outer(model, conds, x_in, timestep, model_options):
    handler = model_options.get("context_handler")
    if handler is not None and handler.should_use_context(model, conds, x_in, timestep, model_options):
        return handler.execute(_calc_cond_batch, model, conds, x_in, timestep, model_options)
    return _calc_cond_batch(model, conds, x_in, timestep, model_options)


def _calc_cond_batch(model, conds, x_in, timestep, model_options):
    totals = [torch.zeros_like(x_in) for _ in conds]
    counts = [torch.ones_like(x_in) * 1e-37 for _ in conds]
    to_run = {}
    defaults = []
    for i, cond in enumerate(conds):
        defaults.append([])
        for entry in cond or ():
            if entry.get("default"):
                defaults[i].append(entry)
                continue
            found = get_area_and_mult(entry, x_in, timestep)
            if found is not None:
                to_run.setdefault(entry.get("hooks"), []).append((found, i))
    finalize_default_conds(model, to_run, defaults, x_in, timestep, model_options)
    patcher = getattr(model, "current_patcher", None)
    if patcher is not None:
        patcher.prepare_state(timestep, model_options)
    for hooks, runs in to_run.items():
        rest = list(runs)
        while rest:
            first = rest[0][0]
            batch = [pair for pair in rest if can_concat_cond(first, pair[0])]
            rest = [pair for pair in rest if not any(pair is taken for taken in batch)]
            outputs = _run(model, batch, timestep, model_options, patcher, hooks)
            for (cond, which), output in zip(batch, outputs, strict=True):
                _within(totals[which], cond.area).add_(output * cond.mult)
                _within(counts[which], cond.area).add_(cond.mult)
    return [total / count for total, count in zip(totals, counts, strict=True)]


def _run(model, batch, timestep, model_options, patcher, hooks):
    """Estimates of entries that fit together, by one call of the model."""
    entries = [cond for cond, _ in batch]
    input_x = torch.cat([cond.input_x for cond in entries])
    c = cond_cat([cond.conditioning for cond in entries])
    c = {name: value.to(input_x.device) if isinstance(value, torch.Tensor) else value for name, value in c.items()}
    times = torch.cat([timestep] * len(entries))
    which = [index for _, index in batch]
    options = {**model_options.get("transformer_options", {}), "sigmas": times}
    if patcher is not None and (hooks is not None or patcher.hook_backup):
        options.update(patcher.apply_hooks(hooks, options))
    if entries[0].patches is not None:
        options[OUR_HOOKS] = options.get(OUR_HOOKS, NO_HOOKS) | entries[0].patches
    options["cond_or_uncond"] = which
    options["uuids"] = [cond.uuid for cond in entries]
    c["transformer_options"] = options
    control = entries[0].control
    if control is not None:
        c["control"] = control.get_control(input_x, times, c, len(which), options)
    wrapper = model_options.get("model_function_wrapper")
    if wrapper is not None:
        output = wrapper(model.apply_model, {"input": input_x, "timestep": times, "c": c, "cond_or_uncond": which})
    else:
        output = model.apply_model(input_x, times, **c)
    return output.chunk(len(entries))


def calc_cond_uncond_batch(model, cond, uncond, x_in, timestep, model_options):
    return tuple(calc_cond_batch(model, [cond, uncond], x_in, timestep, model_options))


# Guidance


def cfg_function(model, cond_pred, uncond_pred, cond_scale, x, timestep, model_options={}, cond=None, uncond=None):
    """The guided estimate out of two."""
    function = model_options.get("sampler_cfg_function")
    if function is not None:
        made = function(
            {
                "cond": x - cond_pred,
                "uncond": x - uncond_pred,
                "cond_scale": cond_scale,
                "timestep": timestep,
                "sigma": timestep,
                "input": x,
                "cond_denoised": cond_pred,
                "uncond_denoised": uncond_pred,
                "model": model,
                "model_options": model_options,
                "input_cond": cond,
                "input_uncond": uncond,
            }
        )
        result = x - made
    else:
        result = uncond_pred + (cond_pred - uncond_pred) * cond_scale
    for after in model_options.get("sampler_post_cfg_function", []):
        result = after(
            {
                "denoised": result,
                "cond": cond,
                "uncond": uncond,
                "cond_scale": cond_scale,
                "model": model,
                "cond_denoised": cond_pred,
                "uncond_denoised": uncond_pred,
                "sigma": timestep,
                "timestep": timestep,
                "model_options": model_options,
                "input": x,
            }
        )
    return result


def sampling_function(model, x, timestep, uncond, cond, cond_scale, model_options={}, seed=None):
    """One guided estimate. At cfg 1 the negative one is not made, unless somebody wants it."""
    alone = math.isclose(cond_scale, 1.0) and not model_options.get("disable_cfg1_optimization", False)
    conds = [cond, None if alone else uncond]
    batch = model_options.get("sampler_calc_cond_batch_function")
    if batch is not None:
        out = batch({"conds": conds, "input": x, "sigma": timestep, "model": model, "model_options": model_options})
    else:
        out = calc_cond_batch(model, conds, x, timestep, model_options)
    for before in model_options.get("sampler_pre_cfg_function", []):
        out = before(
            {
                "conds": conds,
                "conds_out": out,
                "cond_scale": cond_scale,
                "timestep": timestep,
                "input": x,
                "sigma": timestep,
                "model": model,
                "model_options": model_options,
            }
        )
    if conds[1] is None and "sampler_cfg_function" not in model_options:
        # Without a second estimate the first stands for both.
        return cfg_function(model, out[0], out[0], cond_scale, x, timestep, model_options, cond=cond, uncond=None)
    return cfg_function(
        model, out[0], out[1], cond_scale, x, timestep, model_options=model_options, cond=cond, uncond=conds[1]
    )


class KSamplerX0Inpaint:
    """What a sampler's function calls: the guided estimate, with the kept part of a picture held in place."""

    def __init__(self, model, sigmas):
        self.inner_model = model
        self.sigmas = sigmas
        self.latent_image = None
        self.noise = None

    def __call__(self, x, sigma, denoise_mask=None, model_options={}, seed=None):
        if denoise_mask is None:
            return self.inner_model(x, sigma, model_options=model_options, seed=seed)
        if "denoise_mask_function" in model_options:
            denoise_mask = model_options["denoise_mask_function"](
                sigma, denoise_mask, extra_options={"model": self.inner_model, "sigmas": self.sigmas}
            )
        kept = self.inner_model.inner_model.scale_latent_inpaint(
            x=x, sigma=sigma, noise=self.noise, latent_image=self.latent_image
        )
        x = x * denoise_mask + kept * (1.0 - denoise_mask)
        out = self.inner_model(x, sigma, model_options=model_options, seed=seed)
        return out * denoise_mask + self.latent_image * (1.0 - denoise_mask)


# Schedules


class SchedulerHandler(NamedTuple):
    """handler(model_sampling, steps), or handler(steps, sigma_min=, sigma_max=) where use_ms is off."""

    handler: Callable[..., torch.Tensor]
    use_ms: bool = True


def simple_scheduler(model_sampling, steps):
    return _library("simple", model_sampling, steps)


def ddim_scheduler(model_sampling, steps):
    return _library("ddim_uniform", model_sampling, steps)


def normal_scheduler(model_sampling, steps, sgm=False, floor=False):
    return _library("sgm_uniform" if sgm else "normal", model_sampling, steps)


def beta_scheduler(model_sampling, steps, alpha=0.6, beta=0.6):
    return schedules.beta(_Levels(model_sampling), steps, alpha, beta).float()


def linear_quadratic_schedule(model_sampling, steps, threshold_noise=0.025, linear_steps=None):
    return _library("linear_quadratic", model_sampling, steps)


def kl_optimal_scheduler(n, sigma_min, sigma_max):
    levels = _Ends(float(sigma_min), float(sigma_max))
    return schedules.SCHEDULES["kl_optimal"](levels, n).float()


class _Ends(NamedTuple):
    sigma_min: float
    sigma_max: float


class _Levels:
    """A schedule object of a pack's or of ours, as the library reads levels."""

    def __init__(self, model_sampling):
        self._of = model_sampling
        self.sigmas = model_sampling.sigmas
        self.sigma_min, self.sigma_max = float(model_sampling.sigma_min), float(model_sampling.sigma_max)
        self.timestep, self.sigma = model_sampling.timestep, model_sampling.sigma
        self.percent_to_sigma = model_sampling.percent_to_sigma


def _library(name, model_sampling, steps):
    return schedules.SCHEDULES[name](_Levels(model_sampling), steps).float()


SCHEDULER_HANDLERS = {
    "simple": SchedulerHandler(simple_scheduler),
    "sgm_uniform": SchedulerHandler(lambda model_sampling, steps: normal_scheduler(model_sampling, steps, sgm=True)),
    "karras": SchedulerHandler(k_diffusion_sampling.get_sigmas_karras, use_ms=False),
    "exponential": SchedulerHandler(k_diffusion_sampling.get_sigmas_exponential, use_ms=False),
    "ddim_uniform": SchedulerHandler(ddim_scheduler),
    "beta": SchedulerHandler(beta_scheduler),
    "normal": SchedulerHandler(normal_scheduler),
    "linear_quadratic": SchedulerHandler(linear_quadratic_schedule),
    "kl_optimal": SchedulerHandler(kl_optimal_scheduler, use_ms=False),
}
SCHEDULER_NAMES = list(SCHEDULER_HANDLERS)


def calculate_sigmas(model_sampling, scheduler_name, steps):
    """(steps + 1,), the last 0. Raises ValueError for an unknown name."""
    handler = SCHEDULER_HANDLERS.get(scheduler_name)
    if handler is None:
        raise ValueError(f"there is no schedule {scheduler_name!r}; there are {', '.join(SCHEDULER_HANDLERS)}")
    if handler.use_ms:
        return handler.handler(model_sampling, steps)
    return handler.handler(
        n=steps, sigma_min=float(model_sampling.sigma_min), sigma_max=float(model_sampling.sigma_max)
    )


# Conditionings made ready for a run


def _resolve_percentage(area, dims):
    """Shares of the latent's size → positions."""
    if area[0] != "percentage":
        return None
    shares = area[1:]
    half = len(shares) // 2
    sizes = [max(1, round(share * dims[i])) for i, share in enumerate(shares[:half])]
    starts = [round(share * dims[i]) for i, share in enumerate(shares[half:])]
    return [*sizes, *starts]


def get_mask_aabb(masks):
    """(boxes (N, 4) of x0, y0, x1, y1; which masks are empty)."""
    boxes = torch.zeros((len(masks), 4), dtype=torch.int)
    empty = torch.zeros(len(masks), dtype=torch.bool)
    for i, mask in enumerate(masks):
        places = mask.nonzero()
        if len(places) == 0:
            empty[i] = True
            continue
        (y0, x0), (y1, x1) = places.amin(dim=0).tolist(), places.amax(dim=0).tolist()
        boxes[i] = torch.tensor([x0, y0, x1, y1], dtype=torch.int)
    return boxes, empty


def resolve_areas_and_cond_masks_multidim(conditions, dims, device):
    """Areas in positions, masks in the latent's size; in place."""
    for i, entry in enumerate(conditions):
        changed = {}
        if "area" in entry:
            area = _resolve_percentage(entry["area"], dims)
            if area is not None:
                changed["area"] = area
        if "mask" in entry:
            mask = entry["mask"].to(device)
            if mask.ndim == len(dims):
                mask = mask.unsqueeze(0)
            if tuple(mask.shape[1:]) != tuple(dims):
                mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(dims)]
                mask = torch.nn.functional.interpolate(
                    mask.float().unsqueeze(1), size=tuple(dims), mode=mode, align_corners=False
                ).squeeze(1)
            if entry.get("set_area_to_bounds", False) and len(dims) == 2:
                boxes, empty = get_mask_aabb(torch.max(torch.abs(mask), dim=0).values.unsqueeze(0))
                if empty[0]:
                    changed["area"] = [8, 8, 0, 0]
                else:
                    x0, y0, x1, y1 = boxes[0].tolist()
                    changed["area"] = [max(8, y1 - y0 + 1), max(8, x1 - x0 + 1), y0, x0]
            changed["mask"] = mask
        if changed:
            conditions[i] = {**entry, **changed}


def resolve_areas_and_cond_masks(conditions, h, w, device):
    resolve_areas_and_cond_masks_multidim(conditions, [h, w], device)


def calculate_start_end_timesteps(model, conds):
    """Shares of the run → noise levels; in place."""
    schedule = model.model_sampling
    for i, entry in enumerate(conds):
        changed = {}
        for share, level, clip in (
            ("start_percent", "timestep_start", "clip_start_percent"),
            ("end_percent", "timestep_end", "clip_end_percent"),
        ):
            value = entry.get(share)
            clipped = entry.get(clip)
            if clipped is not None:
                start, end = entry.get("start_percent", 0.0), entry.get("end_percent", 1.0)
                both = max(start, clipped) if share == "start_percent" else min(end, clipped)
                value = both
            if value is not None:
                changed[level] = schedule.percent_to_sigma(value)
        if changed:
            conds[i] = {**entry, **changed}


def pre_run_control(model, conds):
    for entry in conds:
        if entry.get("control") is not None:
            entry["control"].pre_run(model, model.model_sampling.percent_to_sigma)


def apply_empty_x_to_equal_area(conds, uncond, name, uncond_fill_func):
    """Hands something of the positive entries (a control) to the negative ones of no area."""
    shared = [entry[name] for entry in conds if "area" not in entry and entry.get(name) is not None]
    open_ones = [i for i, entry in enumerate(uncond) if "area" not in entry and entry.get(name) is None]
    have = [entry for entry in uncond if "area" not in entry and entry.get(name) is not None]
    if have or not shared:
        return
    for k, i in enumerate(open_ones):
        uncond[i] = {**uncond[i], name: uncond_fill_func(shared, k)}


def create_cond_with_same_area_if_none(conds, c):
    """Give the other side an entry on the same area."""
    if "area" not in c:
        return
    area = c["area"]
    half = len(area) // 2

    def covers(other):
        if "area" not in other:
            return True
        theirs = other["area"]
        return all(
            theirs[half + d] <= area[half + d] and theirs[half + d] + theirs[d] >= area[half + d] + area[d]
            for d in range(half)
        )

    def size(other):
        return math.prod(other["area"][:half]) if "area" in other else math.inf

    covering = [other for other in conds if covers(other)]
    if not covering:
        return
    closest = min(covering, key=size)
    if closest.get("area") == area:
        return
    conds.append({**c, "model_conds": closest["model_conds"]})


def encode_model_conds(model_function, conds, noise, device, prompt_type, **kwargs):
    """Ask the model what it makes of each entry; in place."""
    for i, entry in enumerate(conds):
        parameters = {
            **entry,
            "device": device,
            "noise": noise,
            **kwargs,
            "prompt_type": entry.get("prompt_type", prompt_type),
        }
        if noise.ndim >= 4:
            parameters.setdefault("width", noise.shape[3] * 8)
            parameters.setdefault("height", noise.shape[2] * 8)
        made = model_function(**parameters)
        conds[i] = {**entry, "model_conds": {**entry["model_conds"], **made}}
    return conds


def process_conds(model, noise, conds, device, latent_image=None, denoise_mask=None, seed=None, latent_shapes=None):
    """name → entries, ready for a run."""
    for name in conds:
        conds[name] = conds[name][:]
        resolve_areas_and_cond_masks_multidim(conds[name], noise.shape[2:], device)
    for name in conds:
        calculate_start_end_timesteps(model, conds[name])
    if hasattr(model, "extra_conds"):
        for name in conds:
            conds[name] = encode_model_conds(
                model.extra_conds, conds[name], noise, device, name, latent_image=latent_image,
                denoise_mask=denoise_mask, seed=seed, latent_shapes=latent_shapes,
            )  # fmt: skip
    for name in conds:
        for entry in list(conds[name]):
            if entry.get("hooks") is not None and hasattr(entry["hooks"], "initialize_timesteps"):
                entry["hooks"].initialize_timesteps(model)
            for other in conds:
                if other != name:
                    create_cond_with_same_area_if_none(conds[other], entry)
    for name in conds:
        pre_run_control(model, conds[name])
    if "positive" in conds:
        positive = [entry for entry in conds["positive"] if entry.get("control_apply_to_uncond", False)]
        for name in conds:
            if name != "positive":
                apply_empty_x_to_equal_area(positive, conds[name], "control", lambda shared, k: shared[k % len(shared)])
                apply_empty_x_to_equal_area(
                    conds["positive"], conds[name], "gligen", lambda shared, k: ("empty", *shared[0][1:])
                )
    return conds


def preprocess_conds_hooks(conds):
    """Entries whose hooks have keyframes act at all times; nothing needs to be split here."""


def get_total_hook_groups_in_conds(conds):
    return len({entry.get("hooks") for cond in conds.values() for entry in cond})


def filter_registered_hooks_on_conds(conds, model_options):
    pass


def cast_to_load_options(model_options, device=None, dtype=None):
    """What hangs on the options moved to the device."""
    for holder in (model_options.get("transformer_options", {}),):
        for group in ("wrappers", "callbacks"):
            for keys in holder.get(group, {}).values():
                for items in keys.values():
                    for i, item in enumerate(items):
                        if hasattr(item, "to"):
                            items[i] = item.to(device)


# Samplers


class Sampler:
    """A SAMPLER: `sample` runs it."""

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        raise NotImplementedError(f"{type(self).__name__} has no sample")

    def max_denoise(self, model_wrap, sigmas):
        """Whether a run begins from pure noise."""
        highest = float(model_wrap.inner_model.model_sampling.sigma_max)
        first = float(sigmas[0])
        return math.isclose(highest, first, rel_tol=1e-05) or first > highest


class KSAMPLER(Sampler):
    """Around sampler_function(model, x, sigmas, extra_args=, callback=, disable=, **extra_options).

    inpaint_options {"random": True}: the kept part of a picture is noised with noise of the next seed.
    """

    def __init__(self, sampler_function, extra_options={}, inpaint_options={}):
        self.sampler_function = sampler_function
        self.extra_options = extra_options
        self.inpaint_options = inpaint_options

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        extra_args["denoise_mask"] = denoise_mask
        model_k = KSamplerX0Inpaint(model_wrap, sigmas)
        model_k.latent_image = latent_image
        if self.inpaint_options.get("random", False):
            generator = torch.Generator("cpu").manual_seed((extra_args.get("seed", 41) + 1) % 2**64)
            model_k.noise = torch.randn(noise.shape, generator=generator, device="cpu").to(noise)
        else:
            model_k.noise = noise
        schedule = model_wrap.inner_model.model_sampling
        x = schedule.noise_scaling(sigmas[0], noise, latent_image, self.max_denoise(model_wrap, sigmas))
        total = len(sigmas) - 1
        on_step = None
        if callback is not None:

            def on_step(step):
                return callback(step["i"], step["denoised"], step["x"], total)

        samples = self.sampler_function(
            model_k, x, sigmas, extra_args=extra_args, callback=on_step, disable=disable_pbar, **self.extra_options
        )
        return schedule.inverse_noise_scaling(sigmas[-1], samples)


def ksampler(sampler_name, extra_options={}, inpaint_options={}):
    """By name: the function `sample_<name>` of the k-diffusion module, looked up now."""
    function = getattr(k_diffusion_sampling, f"sample_{sampler_name}", None)
    if function is None:
        raise ValueError(
            f"there is no sampler {sampler_name!r}: sample_{sampler_name} is not in comfy.k_diffusion.sampling"
        )
    return KSAMPLER(function, extra_options, inpaint_options)


def sampler_object(name):
    if name == "ddim":
        return ksampler("euler", inpaint_options={"random": True})
    return ksampler(name)


SAMPLER_NAMES = list(SOLVERS)
KSAMPLER_NAMES = [name for name in SAMPLER_NAMES if name not in ("ddim", "uni_pc", "uni_pc_bh2")]


def get_sampler_names():
    return SAMPLER_NAMES


# Guiders


class CFGGuider:
    """A GUIDER: a model under named conditionings. While it runs, `inner_model` and `conds` are there."""

    def __init__(self, model_patcher):
        self.model_patcher = model_patcher
        self.model_options = model_patcher.model_options
        self.original_conds = {}
        self.cfg = 1.0

    def set_conds(self, positive, negative):
        self.inner_set_conds({"positive": positive, "negative": negative})

    def set_cfg(self, cfg):
        self.cfg = cfg

    def inner_set_conds(self, conds):
        for name in conds:
            self.original_conds[name] = sampler_helpers.convert_cond(conds[name])

    def __call__(self, *args, **kwargs):
        return self.outer_predict_noise(*args, **kwargs)

    def outer_predict_noise(self, x, timestep, model_options={}, seed=None):
        wrappers = get_all_wrappers(WrappersMP.PREDICT_NOISE, model_options, is_model_options=True)
        executor = WrapperExecutor.new_class_executor(self.predict_noise, self, wrappers)
        return executor.execute(x, timestep, model_options, seed)

    def predict_noise(self, x, timestep, model_options={}, seed=None):
        """The guided estimate of the clean latent."""
        return sampling_function(
            self.inner_model, x, timestep, self.conds.get("negative"), self.conds.get("positive"), self.cfg,
            model_options=model_options, seed=seed,
        )  # fmt: skip

    def inner_sample(
        self,
        noise,
        latent_image,
        device,
        sampler,
        sigmas,
        denoise_mask,
        callback,
        disable_pbar,
        seed,
        latent_shapes=None,
    ):
        if latent_image is not None and torch.count_nonzero(latent_image) > 0:
            latent_image = self.inner_model.process_latent_in(latent_image)
        self.conds = process_conds(self.inner_model, noise, self.conds, device, latent_image, denoise_mask, seed)
        extra_options = model_patcher.create_model_options_clone(self.model_options)
        extra_options.setdefault("transformer_options", {})["sample_sigmas"] = sigmas
        guidance.begin(extra_options, self.inner_model, self.conds)
        extra_args = {"model_options": extra_options, "seed": seed}
        wrappers = get_all_wrappers(WrappersMP.SAMPLER_SAMPLE, extra_args["model_options"], is_model_options=True)
        executor = WrapperExecutor.new_class_executor(sampler.sample, sampler, wrappers)
        samples = executor.execute(self, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar)
        return self.inner_model.process_latent_out(samples.to(torch.float32))

    def outer_sample(
        self,
        noise,
        latent_image,
        sampler,
        sigmas,
        denoise_mask=None,
        callback=None,
        disable_pbar=False,
        seed=None,
        latent_shapes=None,
    ):
        self.inner_model, self.conds, self.loaded_models = sampler_helpers.prepare_sampling(
            self.model_patcher, noise.shape, self.conds, self.model_options
        )
        device = self.model_patcher.load_device
        if denoise_mask is not None:
            denoise_mask = sampler_helpers.prepare_mask(denoise_mask, noise.shape, device)
        noise, latent_image, sigmas = noise.to(device), latent_image.to(device), sigmas.to(device)
        cast_to_load_options(self.model_options, device=device)
        try:
            self.model_patcher.pre_run()
            return self.inner_sample(
                noise, latent_image, device, sampler, sigmas, denoise_mask, callback, disable_pbar, seed
            )
        finally:
            self.model_patcher.cleanup()
            sampler_helpers.cleanup_models(self.conds, self.loaded_models)
            self.model_patcher.unpatch_model(unpatch_weights=False)
            del self.inner_model
            del self.loaded_models

    @torch.no_grad()
    def sample(
        self, noise, latent_image, sampler, sigmas, denoise_mask=None, callback=None, disable_pbar=False, seed=None
    ):
        """The finished latent. sigmas: (steps + 1,); none at all gives the latent back."""
        if sigmas.shape[-1] == 0:
            return latent_image
        self.conds = {name: [dict(entry) for entry in cond] for name, cond in self.original_conds.items()}
        guidance.add_conditionings(self)
        preprocess_conds_hooks(self.conds)
        kept = self.model_options
        try:
            self.model_options = model_patcher.create_model_options_clone(kept)
            sampler_helpers.prepare_model_patcher(self.model_patcher, self.conds, self.model_options)
            filter_registered_hooks_on_conds(self.conds, self.model_options)
            wrappers = get_all_wrappers(WrappersMP.OUTER_SAMPLE, self.model_options, is_model_options=True)
            executor = WrapperExecutor.new_class_executor(self.outer_sample, self, wrappers)
            begun = self.conds

            def job():
                self.conds = {name: list(entries) for name, entries in begun.items()}
                return executor.execute(
                    noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, seed
                )

            return places.run_at_a_place(self.model_patcher, noise.shape, begun, sigmas.shape[-1] - 1, job)
        finally:
            cast_to_load_options(self.model_options, device=self.model_patcher.offload_device)
            self.model_options = kept
            self.model_patcher.restore_hook_patches()
            del self.conds


def sample(
    model,
    noise,
    positive,
    negative,
    cfg,
    device,
    sampler,
    sigmas,
    model_options={},
    latent_image=None,
    denoise_mask=None,
    callback=None,
    disable_pbar=False,
    seed=None,
):
    """A run of a SAMPLER under two conditionings."""
    guider = CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    return guider.sample(noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, seed)


class KSampler:
    """A run by names. Unknown names become the first there is."""

    SCHEDULERS = SCHEDULER_NAMES
    SAMPLERS = SAMPLER_NAMES
    DISCARD_PENULTIMATE_SIGMA_SAMPLERS = {name for name, solver in SOLVERS.items() if solver.discard_penultimate}

    def __init__(self, model, steps, device, sampler=None, scheduler=None, denoise=None, model_options={}):
        self.model = model
        self.device = device
        self.sampler = sampler if sampler in self.SAMPLERS else self.SAMPLERS[0]
        self.scheduler = scheduler if scheduler in self.SCHEDULERS else self.SCHEDULERS[0]
        self.denoise = denoise
        self.model_options = model_options
        self.set_steps(steps, denoise)

    def calculate_sigmas(self, steps):
        discard = self.sampler in self.DISCARD_PENULTIMATE_SIGMA_SAMPLERS
        sigmas = calculate_sigmas(
            self.model.get_model_object("model_sampling"), self.scheduler, steps + 1 if discard else steps
        )
        return torch.cat([sigmas[:-2], sigmas[-1:]]) if discard else sigmas

    def set_steps(self, steps, denoise=None):
        self.steps = steps
        if denoise is None or denoise > 0.9999:
            self.sigmas = self.calculate_sigmas(steps).to(self.device)
        elif denoise <= 0.0:
            self.sigmas = torch.FloatTensor([])
        else:
            self.sigmas = self.calculate_sigmas(int(steps / denoise)).to(self.device)[-(steps + 1) :]

    def sample(
        self,
        noise,
        positive,
        negative,
        cfg,
        latent_image=None,
        start_step=None,
        last_step=None,
        force_full_denoise=False,
        denoise_mask=None,
        sigmas=None,
        callback=None,
        disable_pbar=False,
        seed=None,
    ):
        sigmas = self.sigmas if sigmas is None else sigmas
        if last_step is not None and last_step < len(sigmas) - 1:
            sigmas = sigmas[: last_step + 1]
            if force_full_denoise:
                sigmas = torch.cat([sigmas[:-1], sigmas.new_zeros(1)])
        if start_step is not None:
            if start_step >= len(sigmas) - 1:
                return latent_image if latent_image is not None else torch.zeros_like(noise)
            sigmas = sigmas[start_step:]
        return sample(
            self.model, noise, positive, negative, cfg, self.device, sampler_object(self.sampler), sigmas,
            self.model_options, latent_image=latent_image, denoise_mask=denoise_mask, callback=callback,
            disable_pbar=disable_pbar, seed=seed,
        )  # fmt: skip


NativeSampler = native_sampler.sampler_class(Sampler)
outward(Sampler, driver.sampler_on_the_wire)
outward(CFGGuider, driver.guider_on_the_wire)
outward_by_shape(("sample", "max_denoise"), driver.sampler_on_the_wire)
outward_by_shape(("sample", "model_patcher"), driver.guider_on_the_wire)
