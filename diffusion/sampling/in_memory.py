"""A run of a sampler as work for the keeper of its model: which networks it needs, how often, and in which ways."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

from diffusion.handles import Model
from diffusion.memory import estimate
from diffusion.memory.keeper import keeper_of
from diffusion.memory.work import Need, Place, Way, Work
from diffusion.ops.stored import compute_dtype
from diffusion.sampling.control import networks_of
from diffusion.sampling.denoiser import OnStep, Step
from diffusion.sampling.grounding import grounding_of
from diffusion.sampling.guidance.core import Guider, guidance_of

T = TypeVar("T")
AHEAD = 2
"""Steps before the end from which on what comes next is made ready."""


def run_in_memory(model: Model, guider: Guider, latent: Tensor, steps: int, job: Callable[[Place, bool], T]) -> T:
    """Do a job where the model's keeper says, its second argument: whether conditions are answered all at once.

    latent: (B, C, H, W). steps: how often the networks are run, about.
    """
    conditionings = {**guider.conditionings, **guidance_of(model).conditionings}
    conditions = [condition for entries in conditionings.values() for condition in entries]
    others: dict[nn.Module, None] = {}
    for condition in conditions:
        others |= dict.fromkeys(networks_of(condition.control))
        if (grounding := grounding_of(condition.options)) is not None:
            others[grounding.network] = None
    needs = [Need(model.network, model.patches, steps), *(Need(network, (), steps) for network in others)]
    itemsize = compute_dtype(model.network).itemsize
    batch, (height, width) = len(latent), latent.shape[-2:]

    def activations(at_once: int) -> int:
        return estimate.sampling(model.family.activation_factor, batch * at_once, height, width, itemsize)

    ways = [Way(lambda place: job(place, True), activations(len(conditions)))]
    if len(conditions) > 1:
        ways.append(Way(lambda place: job(place, False), activations(1), "one condition at a time"))
    key = f"{model.family.name} {batch}x{len(conditions)} {width}x{height} {itemsize} +{len(others)}"
    return keeper_of(model.network).run(Work(f"{model.family.name} sampling", needs, ways, key))


def looking_ahead(model: Model, on_step: OnStep) -> OnStep:
    """Has the keeper make ready what comes next, beside the last steps."""
    keeper = keeper_of(model.network)

    def watched(step: Step) -> None:
        if step.steps - step.index <= AHEAD:
            keeper.look_ahead()
        on_step(step)

    return watched
