"""Our nodes that choose samplers and schedules by name, where packs have added names or replaced what runs them.

The lists in `comfy.samplers` are shared: what a pack appends is shown in the menus of our own nodes too. A name of ours
is run by us unless a pack has put something of its own in the place of what packs' runs go through.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from compat.border import to_pack
from compat.install import NAMES
from compat.outcomes import interruptible, outcome_of
from diffusion.sampling.schedules import SCHEDULES
from diffusion.sampling.solvers import SOLVERS
from execution.spec import Declaration, InputSpec, NodeSpec, Outcome

TORCH = str(Path(torch.__file__).parent)
LISTS = {"sampler_name": tuple(SOLVERS), "scheduler": tuple(SCHEDULES)}

REPLACEABLE = (
    ("comfy.sample", "sample"),
    ("comfy.sample", "sample_custom"),
    ("comfy.sample", "prepare_noise"),
    ("comfy.samplers", "sample"),
    ("comfy.samplers", "sampling_function"),
    ("comfy.samplers", "calc_cond_batch"),
    ("comfy.samplers", "cfg_function"),
    ("comfy.samplers", "calculate_sigmas"),
    ("comfy.samplers", "get_area_and_mult"),
    ("comfy.samplers", "process_conds"),
    ("comfy.samplers", "KSampler"),
    ("comfy.samplers", "KSampler.sample"),
    ("comfy.samplers", "KSAMPLER.sample"),
    ("comfy.samplers", "Sampler.max_denoise"),
    ("comfy.samplers", "CFGGuider.outer_sample"),
    ("comfy.samplers", "CFGGuider.predict_noise"),
    ("comfy.samplers", "CFGGuider.sample"),
    ("comfy.k_diffusion.sampling", "default_noise_sampler"),
    ("comfy.model_base", "BaseModel.apply_model"),
    ("latent_preview", "get_previewer"),
)
"""What packs replace to see every run."""


def is_replaced() -> bool:
    """Whether a pack has put something of its own in such a place: code that is not of the module of names."""
    return any(now is not None and _is_theirs(now) for now in (_current(*key) for key in REPLACEABLE))


def _current(module: str, path: str) -> Any:
    holder: Any = sys.modules.get(module)
    for name in path.split("."):
        holder = getattr(holder, name, None) if holder is not None else None
    return holder


def _is_theirs(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        return not getattr(function, "__module__", "").startswith(("comfy", "latent_preview"))
    if code.co_filename.startswith(TORCH) and hasattr(function, "__wrapped__"):
        return _is_theirs(function.__wrapped__)  # under `torch.no_grad`
    return not code.co_filename.startswith(str(NAMES))


def extend(nodes: MutableMapping[str, NodeSpec]) -> None:
    """Make those of our nodes look at the shared lists. Called when packs are loaded."""
    for id, spec in list(nodes.items()):
        if not spec.declaration.pack.startswith("custom_nodes.") and _chooses(spec.declaration):
            nodes[id] = replace(spec, run=_Run(spec), redeclare=_Declare(spec))


def _chooses(declaration: Declaration) -> bool:
    named = any(entry.name in LISTS and entry.choices == LISTS[entry.name] for entry in declaration.inputs)
    return named or declaration.id in ("SamplerCustom", "SamplerCustomAdvanced")


def shared(name: str) -> Sequence[str]:
    """The list of names as it is now."""
    samplers: Any = sys.modules.get("comfy.samplers")
    if samplers is None:
        return LISTS[name]
    return tuple(samplers.KSampler.SAMPLERS if name == "sampler_name" else samplers.KSampler.SCHEDULERS)


class _Declare:
    def __init__(self, spec: NodeSpec):
        self._declaration = spec.declaration

    def __call__(self) -> Declaration:
        return replace(self._declaration, inputs=tuple(self._extended(entry) for entry in self._declaration.inputs))

    def _extended(self, entry: InputSpec) -> InputSpec:
        if entry.name in LISTS and entry.choices == LISTS[entry.name]:
            return replace(entry, choices=tuple(dict.fromkeys((*entry.choices, *shared(entry.name)))))
        return entry


class _Run:
    def __init__(self, spec: NodeSpec):
        self._spec = spec

    def __call__(self, **sent: Any) -> Outcome | Awaitable[Outcome]:
        if self._is_theirs(sent):
            theirs = _THEIRS.get(self._spec.id)
            if theirs is not None:
                values = {name: to_pack(value) for name, value in sent.items() if self._spec.declaration.input(name)}
                with interruptible():
                    return outcome_of(theirs(**values), 1, self._spec.id, none_is_fine=False)
            if "sampler" in sent:
                sent = {**sent, "sampler": _seen_by_packs(sent["sampler"])}
        return self._spec.run(**sent)

    def _is_theirs(self, sent: dict[str, Any]) -> bool:
        if any(name in sent and sent[name] not in ours for name, ours in LISTS.items()):
            return True
        return self._spec.id not in ("KSamplerSelect",) and is_replaced()


def _seen_by_packs(sampler: Any) -> Any:
    from compat.inside.driver import drive, sampler_object_of
    from compat.inside.translations import PackSampler

    if sampler.driver is not None:
        return sampler
    return PackSampler(sampler.solver, sampler.options, drive, sampler_object_of(sampler))


def _legacy(id: str) -> Callable[..., Any]:
    def run(**values: Any) -> Any:
        from compat.node_classes import node_classes

        kind = node_classes().mapping[id]
        return getattr(kind(), kind.FUNCTION)(**values)

    return run


def _select(sampler_name: str) -> Any:
    from comfy import samplers

    return (samplers.sampler_object(sampler_name),)


def _schedule(model: Any, scheduler: str, steps: int, denoise: float = 1.0) -> Any:
    from comfy import samplers

    if denoise <= 0:
        return (torch.empty(0),)
    total = steps if denoise >= 1 else int(steps / denoise)
    sigmas = samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, total).cpu()
    return (sigmas[-(steps + 1) :],)


_THEIRS: dict[str, Callable[..., Any]] = {
    "KSampler": _legacy("KSampler"),
    "KSamplerAdvanced": _legacy("KSamplerAdvanced"),
    "KSamplerSelect": _select,
    "BasicScheduler": _schedule,
}
