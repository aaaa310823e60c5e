"""`Weights`: named tensors whose names, shapes and types are known before any of them is read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.checkpoints.header import Shape
from diffusion.ops.stored import Packing, Stored


@dataclass(frozen=True, slots=True)
class Packed:
    """A weight in the smaller form in which it is stored, for layers that can keep it so."""

    packing: Packing
    fetch: Callable[[], Tensor]
    scale: Callable[[], Tensor] | None = None

    def stored(self) -> Stored:
        return Stored(self.fetch(), self.packing, None if self.scale is None else self.scale())


@dataclass(frozen=True, slots=True)
class Source:
    """One tensor, and how to get it. `fetch` may map a file; it is not called before the values are wanted."""

    shape: Shape
    dtype: torch.dtype
    fetch: Callable[[], Tensor]
    packed: Packed | None = None
    """The same values packed; `shape`, `dtype` and `fetch` are of the true weight."""

    @property
    def nbytes(self) -> int:
        count = self.dtype.itemsize
        for size in self.shape:
            count *= size
        return count


def held(tensor: Tensor) -> Source:
    """A tensor that is already in memory."""
    return Source(tuple(tensor.shape), tensor.dtype, lambda: tensor)


class Weights(Mapping[str, Tensor]):
    """A read-only mapping from names to tensors; `shapes` and `dtypes` answer without reading."""

    def __init__(self, sources: Mapping[str, Source]):
        self.sources = dict(sources)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Weights":
        """Tensors in memory (or on the meta device) as Weights."""
        if isinstance(tensors, Weights):
            return tensors
        return cls({name: held(tensor) for name, tensor in tensors.items()})

    def __getitem__(self, name: str) -> Tensor:
        return self.sources[name].fetch()

    def __contains__(self, name: object) -> bool:
        return name in self.sources  # the inherited one would fetch the tensor to find out

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def shapes(self) -> dict[str, Shape]:
        return {name: source.shape for name, source in self.sources.items()}

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        return {name: source.dtype for name, source in self.sources.items()}

    @property
    def nbytes(self) -> int:
        return sum(source.nbytes for source in self.sources.values())

    def under(self, prefix: str) -> "Weights":
        """Those whose names start with `prefix`, without it."""
        return Weights({name[len(prefix) :]: s for name, s in self.sources.items() if name.startswith(prefix)})

    def behind(self, prefix: str) -> "Weights":
        """All of them, with `prefix` before their names."""
        return Weights({prefix + name: source for name, source in self.sources.items()})

    def only(self, names: Iterable[str]) -> "Weights":
        return Weights({name: self.sources[name] for name in names})

    def joined(self, other: "Weights") -> "Weights":
        """Both; of a name in both, the other's."""
        return Weights({**self.sources, **other.sources})
