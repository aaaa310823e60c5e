"""A network's modules once more, whose tensors may lie elsewhere or be fetched when they are asked for.

The original is never touched: it is the source of the weights, on the host. A layer that is streamed does not know it:
its class becomes one in which `weight` and its like are properties that fetch. So it does not matter who asks (the
layer's own forward, or another module that multiplies by its weight directly), and any `nn.Module` will do.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from torch import Tensor, nn

from diffusion.memory.leaves import Leaf, own_tensors
from diffusion.memory.source import Change
from diffusion.ops.stored import KeepsWeight
from diffusion.patches.weights import shallow

Fetch = Callable[[], Sequence[nn.Parameter]]
"""A layer's tensors on the device, in the order of `Leaf.names`. The same objects as long as the layer computes, since
it may rearrange a weight in place and go on with it."""

_FETCH = "_heddle_fetch"
_CHANGE = "weight_change"


class Twin:
    """network: computes with whatever its layers were given. At first these are the original's tensors."""

    def __init__(self, original: nn.Module, leaves: Sequence[Leaf]):
        copies: dict[nn.Module, nn.Module] = {}
        self.network = _copied(original, copies)
        self._of = {leaf: copies[leaf.module] for leaf in leaves}
        self._given = set[Leaf]()

    def give(self, leaf: Leaf, tensors: Sequence[nn.Parameter], change: Change | None = None) -> None:
        """Let a layer have these tensors, in the order of its names. change: see `Source.change`."""
        self.take(leaf)
        _set(self._of[leaf], leaf.names, tensors)
        _change(self._of[leaf], change)
        self._given.add(leaf)

    def stream(self, leaf: Leaf, fetch: Fetch, change: Change | None = None) -> None:
        """Let a layer fetch its tensors whenever it needs them."""
        self.take(leaf)
        module = self._of[leaf]
        _change(module, change)
        vars(module)[_FETCH] = _Fetching(leaf, fetch)
        module.__class__ = _fetching(type(module), leaf.names)
        self._given.add(leaf)

    def take(self, leaf: Leaf) -> None:
        """Take away what a layer was given."""
        if leaf in self._given:
            module = self._of[leaf]
            if vars(module).pop(_FETCH, None) is not None:
                module.__class__ = type(leaf.module)
            own = own_tensors(leaf.module)
            _set(module, leaf.names, [own[name] for name in leaf.names])
            _change(module, vars(leaf.module).get(_CHANGE))
            self._given.discard(leaf)


class _Fetching:
    def __init__(self, leaf: Leaf, fetch: Fetch):
        self.leaf, self._fetch = leaf, fetch

    def tensor(self, name: str) -> Tensor:
        return self._fetch()[self.leaf.names.index(name)]


@cache
def _fetching(kind: type[nn.Module], names: tuple[str, ...]) -> type[nn.Module]:
    """The same kind of layer with properties for these tensors."""
    return cast(type[nn.Module], type(kind.__name__, (kind,), {name: property(_getter(name)) for name in names}))


def _getter(name: str) -> Callable[[nn.Module], Tensor]:
    def get(module: nn.Module) -> Tensor:
        fetching: _Fetching = vars(module)[_FETCH]
        held = own_tensors(module)[name]
        # torch.func.functional_call puts other tensors in for the length of a call.
        return fetching.tensor(name) if held is own_tensors(fetching.leaf.module)[name] else held

    return get


def _set(module: nn.Module, names: Sequence[str], tensors: Sequence[Tensor]) -> None:
    tables: Any = vars(module)
    for name, tensor in zip(names, tensors, strict=True):
        tables["_parameters" if name in tables["_parameters"] else "_buffers"][name] = tensor


def _change(module: nn.Module, change: Change | None) -> None:
    if isinstance(module, KeepsWeight):
        vars(module)[_CHANGE] = change


def _copied(module: nn.Module, copies: dict[nn.Module, nn.Module]) -> nn.Module:
    if module not in copies:
        twin = copies[module] = shallow(module)
        # A compiled call is bound to the original and its weights, so here it is computed as it is written.
        vars(twin).pop("_compiled_call_impl", None)
        children = vars(twin)["_modules"]
        for name, child in children.items():
            children[name] = None if child is None else _copied(child, copies)
    return copies[module]
