"""Puts a LoRA file onto handles: which of its modules change which tensors, at which strength."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.joins import Rows
from diffusion.checkpoints.packing import true_weights
from diffusion.handles import Model, TextEncoders
from diffusion.patches.lora.adapters import AdapterDoesNotFit, Tensors, bias, changed
from diffusion.patches.lora.file import LoraFile
from diffusion.patches.lora.names import Target, is_text, network_modules, text_modules


class LoraDoesNotFit(ValueError):
    """A LoRA made for another model."""


@dataclass(frozen=True)
class LoraPatch:
    """What one file does to one network. Equal for the same file, network and strength, so that results are reused."""

    lora: str
    """The file's name, for messages."""
    identity: tuple[object, ...]
    part: str
    """"network", or a text encoder."""
    strength: float
    adapters: Mapping[str, tuple["Tensors | OnRows", ...]] = field(compare=False, repr=False)
    """Name of a tensor of ours -> what changes it, in order."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.adapters)

    def apply(self, name: str, weight: Tensor) -> Tensor:
        """The tensor, in float32, with this file applied."""
        for stored in self.adapters[name]:
            whole = not isinstance(stored, OnRows)
            weight = self._changed(name, weight, stored) if whole else stored.through(weight, name, self._changed)
        return weight

    def _changed(self, name: str, weight: Tensor, stored: Tensors) -> Tensor:
        tensors = {role: tensor.to(weight.device, torch.float32) for role, tensor in stored.items()}
        if name.endswith(".bias"):
            return weight + self.strength * bias(weight, tensors)
        return changed(weight, tensors, self.strength)


@dataclass(frozen=True, eq=False)
class OnRows:
    """A change of some rows of a tensor, for files made for a layout that keeps these apart."""

    tensors: Tensors
    rows: Rows

    def through(self, weight: Tensor, name: str, change: Callable[[str, Tensor, Tensors], Tensor]) -> Tensor:
        """The whole tensor with `change` made to these rows."""
        start, stop = self.rows.start, self.rows.stop
        part = change(name, self.theirs(weight[start:stop]), self.tensors)
        return torch.cat([weight[:start], self.theirs(part), weight[stop:]])

    def theirs(self, part: Tensor) -> Tensor:
        """The rows in the other layout's order, and back."""
        return part.roll(len(part) // 2, dims=0) if self.rows.swapped else part


@dataclass(frozen=True)
class Applied:
    """Handles with a LoRA on them, and what of the file could not be used."""

    model: Model | None
    text_encoders: TextEncoders | None
    unused: tuple[str, ...]
    """Modules and names of the file that belong to nothing in the model, or do not fit."""


def apply_lora(
    lora: LoraFile,
    model: Model | None,
    text_encoders: TextEncoders | None,
    strength_model: float = 1.0,
    strength_text: float = 1.0,
) -> Applied:
    """Put a LoRA on a model and its text encoders; either may be None. A strength of 0 leaves that part as it is.

    Raises LoraDoesNotFit if the file was made for another model line, and ValueError for a strength that is no number.
    """
    if not (math.isfinite(strength_model) and math.isfinite(strength_text)):
        raise ValueError(f"strengths {strength_model} and {strength_text}: expected finite numbers")
    found = _find(lora, model, text_encoders)
    nothing_fits = found.expected and not found.fitting
    # The width of the context is what separates model lines; much else has the same shape in all of them.
    other_context = any("attn2" in misfit for misfit in found.misfits)
    if nothing_fits or other_context or len(found.misfits) > found.fitting:
        raise LoraDoesNotFit(_explain(lora, model, text_encoders, found))
    for part, adapters in found.adapters.items():
        strength = strength_model if part == "network" else strength_text
        if not adapters or strength == 0:
            continue
        patch = LoraPatch(lora.path.name, lora.identity, part, strength, adapters)
        if part == "network":
            model = model and model.with_patches(patch)
        else:
            text_encoders = text_encoders and text_encoders.with_patches(part, patch)
    return Applied(model, text_encoders, (*found.misfits, *found.unmatched, *lora.unknown))


@dataclass
class _Found:
    adapters: dict[str, dict[str, tuple[Tensors | OnRows, ...]]]
    fitting: int = 0
    expected: bool = False
    """Whether the file has anything for the parts that were given."""
    misfits: list[str] = field(default_factory=list[str])
    unmatched: list[str] = field(default_factory=list[str])


def _find(lora: LoraFile, model: Model | None, encoders: TextEncoders | None) -> _Found:
    networks: dict[str, nn.Module] = {}
    spelled: dict[str, tuple[str, Target]] = {}
    if model:
        networks["network"] = model.network
        spelled |= {spelling: ("network", target) for spelling, target in network_modules(model).items()}
    for name in encoders.networks if encoders else ():
        assert encoders
        networks[name] = encoders.networks[name]
        spelled |= {spelling: (name, Target(module)) for spelling, module in text_modules(encoders, name).items()}
    shapes = {part: true_weights(network).shapes for part, network in networks.items()}
    found = _Found({part: {} for part in networks})
    for module, tensors in lora.modules.items():
        if module not in spelled:
            wanted = encoders is not None if is_text(module) else model is not None
            found.expected |= wanted
            if wanted:
                found.unmatched.append(module)
            continue
        found.expected = True
        part, ours = spelled[module]
        if problem := _add(found.adapters[part], shapes[part], ours, tensors):
            found.misfits.append(f"{module}: {problem}")
        else:
            found.fitting += 1
    return found


def _add(
    adapters: dict[str, tuple[Tensors | OnRows, ...]], shapes: Mapping[str, Shape], target: Target, tensors: Tensors
) -> str | None:
    """Add what a file's module does to our module's weight and bias; returns why not, if its shapes do not fit."""
    module, rows = target.module, target.rows
    changes = {f"{module}.weight": {role: t for role, t in tensors.items() if role != "diff_b"}}
    if "diff_b" in tensors:
        changes[f"{module}.bias"] = {"diff_b": tensors["diff_b"]}
    if set(changes[f"{module}.weight"]) <= {"alpha"}:
        del changes[f"{module}.weight"]
    for name, change in changes.items():
        if name not in shapes:
            return f"the model has no {name!r}"
        try:
            shape = shapes[name]
            _try(shape if rows is None else (rows.stop - rows.start, *shape[1:]), change)
        except (AdapterDoesNotFit, RuntimeError, KeyError, IndexError) as error:
            # Shapes that do not multiply are torch's RuntimeError; a factor that is not there is a KeyError.
            return str(error).splitlines()[0]
    for name, change in changes.items():
        adapters[name] = (*adapters.get(name, ()), change if rows is None else OnRows(change, rows))
    return None


def _try(shape: Shape, change: Tensors) -> None:
    """Go through the arithmetic of one change on the meta device, where it costs nothing."""
    on_meta = {role: t if role == "alpha" else torch.empty(t.shape, device="meta") for role, t in change.items()}
    target = torch.empty(shape, device="meta")
    if "diff_b" in change:
        bias(target, on_meta)
    else:
        changed(target, on_meta, 1.0)


def _explain(lora: LoraFile, model: Model | None, encoders: TextEncoders | None, found: _Found) -> str:
    family = model.family if model else encoders.family if encoders else None
    made_for = lora.made_for
    name = family.name if family else "unknown"
    if made_for and made_for != name:
        return f"{lora.path.name}: this LoRA is for {made_for}; the model is {name}"
    example = (found.misfits or found.unmatched)[0]
    return (
        f"{lora.path.name}: this LoRA does not fit the model, which is {name}: {len(found.misfits)} of its modules "
        f"have another shape and {len(found.unmatched)} are unknown, for instance {example}"
    )
