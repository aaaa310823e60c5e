"""Conditions to estimates: runs the network once for as many conditions as fit together, and blends what it says."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from diffusion.handles import Model
from diffusion.images.batch import repeat_to
from diffusion.patches.hooks import NO_HOOKS, CallInfo, Extra, ModelHooks, Role
from diffusion.sampling.checks import check_text
from diffusion.sampling.conditioning import ATTENTION_BIAS, Condition, attention_bias, for_controls
from diffusion.sampling.control import ControlCall, ControlSource, check_controls
from diffusion.sampling.grounding import Grounding, grounding_of
from diffusion.sampling.network_inputs import Latents, extra_inputs, joined_channels, vector_of
from diffusion.sampling.process import Process
from diffusion.sampling.regions import Window, resized_mask, weights_of, window_of

_LONGEST_REPEAT = 4


@dataclass(frozen=True)
class Prepared:
    """A condition made ready for one run: on the device, in the latent's size."""

    condition: Condition
    role: Role
    context: Tensor
    bias: Tensor | None
    """(B, T): added to the scores of the context's tokens; None for nothing."""
    vector: Tensor | None
    joined: Tensor | None
    extra: Extra
    window: Window | None
    weights: Tensor
    start: float
    end: float
    control: ControlSource | None
    control_context: Tensor | None
    """A text for control networks alone, as long as `context` or not."""
    control_vector: Tensor | None
    hooks: ModelHooks
    """For the calls that answer this condition."""

    def active(self, sigma: float) -> bool:
        return self.end <= sigma <= self.start


class Predictor:
    """Estimates of the clean latent under conditionings, for one run of one model."""

    def __init__(
        self,
        model: Model,
        network: nn.Module,
        process: Process,
        latents: Latents,
        schedule: Tensor,
        *,
        join: bool = True,
        network_of: Callable[[nn.Module], nn.Module] = lambda network: network,
    ):
        """network: the model's, with its patches applied. schedule: all sigmas of the run.

        join False runs every condition by itself: the same result in less memory. network_of: other networks as they
        compute in this run.
        """
        self._network_of = network_of
        self.model, self.process, self.latents = model, process, latents
        self._network, self.schedule, self._join = network, schedule, join

    def prepare(
        self, conditionings: Mapping[str, Sequence[Condition]], roles: Mapping[str, Role]
    ) -> dict[str, tuple[Prepared, ...]]:
        """Makes conditionings ready that are used together in one run.

        Regions are paired: where one conditioning has an area, the others are evaluated on the same area. Controls of
        "positive" that are meant for the negative too are handed on.
        """
        ready = {
            name: [self._prepared(condition, roles[name]) for condition in entries]
            for name, entries in conditionings.items()
        }
        for name, entries in list(ready.items()):
            for entry in list(entries):
                for other in ready:
                    if other != name:
                        _pair_area(entry, ready[other])
        grounded = [g for entry in ready.get("positive", ()) if (g := self._grounding(entry.condition))]
        for name, entries in ready.items():
            if grounded and name != "positive":
                ready[name] = _with_hooks(entries, grounded[0].empty().hooks(self.latents.image))
        shared = [entry.control for entry in ready.get("positive", ()) if entry.condition.control_on_negative]
        controls = [control for control in shared if control is not None]
        return {
            name: tuple(entries if name == "positive" or not controls else _with_controls(entries, controls))
            for name, entries in ready.items()
        }

    def _grounding(self, condition: Condition) -> Grounding | None:
        grounding = grounding_of(condition.options)
        return None if grounding is None else grounding.computing(self._network_of)

    def _prepared(self, condition: Condition, role: Role) -> Prepared:
        image, levels = self.latents.image, self.process.levels
        height, width = image.shape[2:]
        mask = None if condition.mask is None else resized_mask(condition.mask, height, width)
        window = window_of(condition, mask, height, width)
        vector = vector_of(self.model, condition, role, self.latents)
        grounding = self._grounding(condition)
        check_text(self.model, condition, vector)
        check_controls(condition.control, self.model)
        own = for_controls(condition)
        own_vector = None if own is None else vector_of(self.model, own, role, self.latents)
        return Prepared(
            condition=condition,
            role=role,
            context=repeat_to(condition.context.float(), len(image)).to(image.device),
            bias=_bias_of(condition, image),
            vector=None if vector is None else repeat_to(vector, len(image)).to(image.device),
            joined=joined_channels(self.model, condition, self.latents),
            extra=extra_inputs(self.model, condition, self.latents),
            window=window,
            weights=weights_of(condition, mask, window, image.shape).to(image.device),
            start=math.inf if condition.start_percent is None else levels.percent_to_sigma(condition.start_percent),
            end=0.0 if condition.end_percent is None else levels.percent_to_sigma(condition.end_percent),
            control=condition.control,
            control_context=None if own is None else repeat_to(own.context.float(), len(image)).to(image.device),
            control_vector=None if own_vector is None else repeat_to(own_vector, len(image)).to(image.device),
            hooks=NO_HOOKS if grounding is None else grounding.hooks(image),
        )

    def __call__(
        self, conditionings: Sequence[Sequence[Prepared]], x: Tensor, sigma: Tensor, hooks: ModelHooks = NO_HOOKS
    ) -> list[Tensor]:
        """One estimate for each conditioning, shaped as x; zeros where nothing is active.

        x: (B, C, H, W) float32. sigma: (B,), all equal. hooks: for this call, beside the model's own.
        """
        level = float(sigma[0])
        jobs: list[tuple[int, Prepared, Tensor]] = []
        for i, entries in enumerate(conditionings):
            active = [entry for entry in entries if entry.active(level)]
            named = [(entry, entry.weights) for entry in active if not entry.condition.default]
            fallback = [entry for entry in active if entry.condition.default]
            jobs += [(i, entry, weights) for entry, weights in [*named, *_uncovered(fallback, named, x)]]
        totals = [torch.zeros_like(x) for _ in conditionings]
        counts = [torch.full_like(x[:, :1], 1e-37) for _ in conditionings]
        for group in self._groups(jobs, x):
            outputs = self._run(group, x, sigma, hooks)
            for (i, entry, weights), output in zip(group, outputs, strict=True):
                window = entry.window or Window(x.shape[2], x.shape[3], 0, 0)
                window.of(totals[i]).add_(output * weights)
                window.of(counts[i]).add_(weights)
        return [total / count for total, count in zip(totals, counts, strict=True)]

    def _groups(self, jobs: Sequence["_Job"], x: Tensor) -> list[list["_Job"]]:
        groups: list[list[_Job]] = []
        for job in jobs:
            repeats = 1 if self.model.family.attends_jointly else _LONGEST_REPEAT
            fitting = (group for group in groups if self._join and _fit_together(group, job, x, repeats))
            group = next(fitting, None)
            if group is None:
                groups.append([job])
            else:
                group.append(job)
        return groups

    def _run(self, group: Sequence["_Job"], x: Tensor, sigma: Tensor, hooks: ModelHooks) -> list[Tensor]:
        """Estimates of all jobs of a group by one call of the network."""
        entries = [entry for _, entry, _ in group]
        count = len(entries)
        seen = torch.cat([x if entry.window is None else entry.window.of(x) for entry in entries])
        sigmas = sigma.repeat(count)
        per_row = sigmas.view(-1, 1, 1, 1)
        times = self.process.levels.timestep(sigmas)
        shown = self.process.prediction.network_input(seen, per_row)
        context = _joined_contexts([entry.context for entry in entries])
        vectors = [entry.vector for entry in entries if entry.vector is not None]
        y = torch.cat(vectors) if vectors else None
        extra = _joined_extra([entry.extra for entry in entries])
        control = None
        if entries[0].control is not None:
            own, own_y = _for_controls(entries)
            call = ControlCall(
                shown, times, context, y, float(sigma[0]), self.process.levels, extra, self._network_of, own, own_y
            )
            control = entries[0].control.control(call)
        joined = [
            entry.joined if entry.window is None else entry.window.of(entry.joined)
            for entry in entries
            if entry.joined is not None
        ]
        network_input = torch.cat([shown, torch.cat(joined)], dim=1) if joined else shown
        roles: tuple[Role, ...] = tuple(entry.role for entry in entries)
        info = CallInfo(
            shape=network_input.shape,
            sigmas=sigmas,
            roles=roles,
            schedule=self.schedule,
            context_bias=_joined_biases(entries),
        )
        output: Tensor = self._network(
            network_input,
            times,
            context,
            y,
            control,
            hooks=self.model.hooks | entries[0].hooks | hooks,
            info=info,
            **extra,
        )
        output = output.float()[:, : x.shape[1]]
        return list(self.process.prediction.denoised(seen, per_row, times.view(-1, 1, 1, 1), output).chunk(count))


_Job = tuple[int, Prepared, Tensor]
"""Which conditioning, which of its entries, and with what weight by position."""


def _fit_together(group: Sequence[_Job], job: _Job, x: Tensor, repeats: int) -> bool:
    """Whether a job can run in one batch with others: same shapes and control, token counts that repeat to one.

    repeats: how many times the shortest text may be repeated for that.
    """
    first, new = group[0][1], job[1]
    size = (x.shape[2], x.shape[3])
    sizes = [size if e.window is None else (e.window.height, e.window.width) for e in (first, new)]
    if sizes[0] != sizes[1] or first.control is not new.control or first.hooks is not new.hooks:
        return False
    if (first.vector is None) != (new.vector is None) or first.context.shape[2] != new.context.shape[2]:
        return False
    if _shapes(first.extra) != _shapes(new.extra):
        return False
    lengths = [entry.context.shape[1] for _, entry, _ in [*group, job]]
    return math.lcm(*lengths) <= repeats * min(lengths)


def _shapes(extra: Extra) -> dict[str, object]:
    return {
        name: value.shape if isinstance(value, Tensor) else tuple(tensor.shape for tensor in value)
        for name, value in extra.items()
    }


def _joined_extra(extras: Sequence[Extra]) -> Extra:
    """One batch of the further inputs of several conditions, whose shapes are the same."""
    joined: dict[str, Tensor | tuple[Tensor, ...]] = {}
    for name, value in extras[0].items():
        if isinstance(value, Tensor):
            joined[name] = torch.cat([one for extra in extras if isinstance(one := extra[name], Tensor)])
        else:
            joined[name] = tuple(map(torch.cat, zip(*(extra[name] for extra in extras), strict=True)))
    return joined


def _joined_contexts(contexts: Sequence[Tensor]) -> Tensor:
    """One batch. Shorter contexts are repeated whole: attention to every key n times is attention to it once."""
    length = math.lcm(*(context.shape[1] for context in contexts))
    return torch.cat([context.repeat(1, length // context.shape[1], 1) for context in contexts])


def _bias_of(condition: Condition, image: Tensor) -> Tensor | None:
    if ATTENTION_BIAS not in condition.options:
        return None
    return attention_bias(condition.options, condition.context.shape[1]).to(image.device).expand(len(image), -1)


def _joined_biases(entries: Sequence[Prepared]) -> Tensor | None:
    """What is added to the scores of the tokens of `_joined_contexts`."""
    if all(entry.bias is None for entry in entries):
        return None
    biases = [
        entry.context.new_zeros(entry.context.shape[:2]) if entry.bias is None else entry.bias for entry in entries
    ]
    length = math.lcm(*(bias.shape[1] for bias in biases))
    return torch.cat([bias.repeat(1, length // bias.shape[1]) for bias in biases])


def _for_controls(entries: Sequence[Prepared]) -> tuple[Tensor | None, Tensor | None]:
    """Text and vector condition for control networks, where any of the conditions brings one."""
    if all(entry.control_context is None for entry in entries):
        return None, None
    contexts = [entry.context if entry.control_context is None else entry.control_context for entry in entries]
    vectors = [entry.vector if entry.control_vector is None else entry.control_vector for entry in entries]
    given = [vector for vector in vectors if vector is not None]
    return _joined_contexts(contexts), torch.cat(given) if given else None


def _uncovered(
    fallback: Sequence[Prepared], named: Sequence[tuple[Prepared, Tensor]], x: Tensor
) -> list[tuple[Prepared, Tensor]]:
    """Default entries with what the others leave of the weight 1 at each position."""
    if not fallback:
        return []
    rest = torch.ones_like(x[:, :1])
    for entry, weights in named:
        (rest if entry.window is None else entry.window.of(rest)).sub_(weights)
    rest.clamp_(min=0)
    if not rest.any():
        return []
    return [(entry, rest if entry.window is None else entry.window.of(rest)) for entry in fallback]


def _pair_area(entry: Prepared, others: list[Prepared]) -> None:
    """Gives `others` an entry on the same area, made from the one of them that covers it most closely."""
    if entry.window is None:
        return
    covering = [other for other in others if other.window is None or other.window.contains(entry.window)]
    if not covering:
        return
    closest = min(covering, key=lambda o: math.inf if o.window is None else o.window.height * o.window.width)
    if closest.window != entry.window:
        others.append(
            replace(
                entry,
                context=closest.context,
                bias=closest.bias,
                control_context=closest.control_context,
                control_vector=closest.control_vector,
                vector=closest.vector,
                joined=closest.joined,
                extra=closest.extra,
                role=closest.role,
                hooks=closest.hooks,
            )
        )


def _with_hooks(entries: Sequence[Prepared], hooks: ModelHooks) -> list[Prepared]:
    """Gives hooks to the entries that have none of their own.

    Guidance is between boxes and no boxes, not between boxes and a network without the layers for them.
    """
    return [replace(entry, hooks=hooks) if entry.hooks is NO_HOOKS else entry for entry in entries]


def _with_controls(entries: Sequence[Prepared], controls: Sequence[ControlSource]) -> list[Prepared]:
    """Hands controls out in turn to the entries that have none of their own."""
    result = list(entries)
    bare = [i for i, entry in enumerate(result) if entry.control is None]
    for i, control in enumerate(controls):
        if bare:
            place = bare[i % len(bare)]
            result[place] = replace(result[place], control=control)
    return result
