"""Hypernetworks: small networks that change what attention makes keys and values of.

A file is a pickled dictionary: for each width of tokens a pair of state dicts, for keys and for values, and beside
them `activation_func`, `activate_output` and other settings. A network is a sequence of linear layers, each followed
by the activation and perhaps a layer norm; what it says is added to the tokens.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.pickled import read_pickle
from diffusion.handles import Model
from diffusion.models.unet_config import UNetConfig
from diffusion.patches.hooks import BlockInfo, ModelHooks

_ACTIVATIONS = {name.lower(): getattr(nn.modules.activation, name) for name in nn.modules.activation.__all__}
_ACTIVATIONS["swish"] = nn.Hardswish
_OLD_NAMES = {"linear1": "linear.0", "linear2": "linear.1"}
_LAYER = re.compile(r"linear\.(\d+)\.(weight|bias)")


@dataclass(frozen=True, eq=False)
class Hypernetwork:
    pairs: Mapping[int, tuple[nn.Module, nn.Module]]
    """Width of tokens -> what is added to them before they become keys, and values."""
    source: str = ""


def open_hypernetwork(path: str | Path) -> Hypernetwork:
    """Read a hypernetwork. Raises CheckpointError: damaged, none, of unknown layers, or not finite."""
    path = Path(path)
    found: Any = read_pickle(path)
    table = cast(Mapping[Any, Any], found) if isinstance(found, Mapping) else dict[Any, Any]()
    pairs: dict[int, tuple[nn.Module, nn.Module]] = {}
    for width, value in table.items():
        if isinstance(width, int):
            keys, values = (_network(path, width, state, table) for state in _two_states(path, width, value))
            pairs[width] = keys, values
    if not pairs:
        raise CheckpointError(path, "holds no hypernetwork: expected pairs of layers by the width of tokens")
    return Hypernetwork(pairs, path.name)


def _two_states(path: Path, width: int, value: Any) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    states = cast(list[Any], value) if isinstance(value, (list, tuple)) else []
    if len(states) < 2 or not all(isinstance(state, Mapping) for state in states[:2]):
        raise CheckpointError(path, f"the layers for width {width} are no pair of state dicts")
    return states[0], states[1]


def _network(path: Path, width: int, state: Mapping[str, Tensor], settings: Mapping[Any, Any]) -> nn.Module:
    layers: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        head, _, kind = name.rpartition(".")
        m = _LAYER.fullmatch(f"{_OLD_NAMES.get(head, head)}.{kind}")
        if m is None or not isinstance(tensor, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]  # from a file
            raise CheckpointError(path, f"unknown tensor {name!r} in the layers for width {width}")
        if not tensor.float().isfinite().all():
            raise CheckpointError(path, f"{name!r} for width {width} holds NaN or infinity; the file is unusable")
        layers.setdefault(int(m[1]), {})[m[2]] = tensor.float()
    activation = _activation(path, settings.get("activation_func"))
    linear = [i for i in sorted(layers) if layers[i]["weight"].ndim == 2]
    members: list[nn.Module] = []
    before = width
    for i in sorted(layers):
        weight = layers[i]["weight"]
        if weight.shape[-1] != before:
            raise CheckpointError(path, f"layer {i} for width {width} takes {weight.shape[-1]} numbers, not {before}")
        layer: nn.Module = nn.LayerNorm(before) if weight.ndim == 1 else nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict(layers[i])
        members.append(layer)
        before = weight.shape[0]
        if activation and i in linear and (i != linear[-1] or settings.get("activate_output")):
            members.append(activation())
    if before != width:
        raise CheckpointError(path, f"the layers for width {width} end in {before} numbers")
    return nn.Sequential(*members).eval().requires_grad_(False)


def _activation(path: Path, name: Any) -> type[nn.Module] | None:
    if name is None or name == "linear":
        return None
    if str(name).lower() not in _ACTIVATIONS:
        raise CheckpointError(path, f"unknown activation {name!r}")
    return _ACTIVATIONS[str(name).lower()]


def with_hypernetwork(model: Model, hypernetwork: Hypernetwork, strength: float) -> Model:
    """Self-attention and attention to the text see tokens that the hypernetwork has changed; 0 leaves the model.

    Raises ValueError for a hypernetwork of another model line.
    """
    config = model.config
    if not isinstance(config, UNetConfig) or config.context_width not in hypernetwork.pairs:
        widths = ", ".join(map(str, sorted(hypernetwork.pairs)))
        raise ValueError(
            f"{hypernetwork.source}: this hypernetwork is for tokens of width {widths}; {model.family.name} reads a "
            f"text of width {getattr(config, 'context_width', 'another kind')}"
        )
    if strength == 0:
        return model
    hook = _Hook(hypernetwork, strength)
    return model.with_hooks(ModelHooks(attn1_inputs=(hook,), attn2_inputs=(hook,)))


@dataclass(eq=False)
class _Hook:
    hypernetwork: Hypernetwork
    strength: float
    _placed: dict[tuple[int, torch.device, torch.dtype], tuple[nn.Module, nn.Module]] = field(
        default_factory=dict[tuple[int, torch.device, torch.dtype], tuple[nn.Module, nn.Module]]
    )

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor, Tensor]:
        if key.shape[-1] not in self.hypernetwork.pairs:
            return query, key, value
        keys, values = self._pair(key)
        return query, key + self.strength * keys(key), value + self.strength * values(value)

    def _pair(self, like: Tensor) -> tuple[nn.Module, nn.Module]:
        """The networks for tokens like these, where they are and in their format; the file's stay as they are."""
        place = like.shape[-1], like.device, like.dtype
        if place not in self._placed:
            keys, values = self.hypernetwork.pairs[like.shape[-1]]
            self._placed[place] = copy.deepcopy(keys).to(like), copy.deepcopy(values).to(like)
        return self._placed[place]
