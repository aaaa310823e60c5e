"""Which nodes there are: class name → NodeSpec. Built by `launch` from the packages that define nodes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from execution.spec import Declaration, NodeSpec

Listing = Callable[[str], Sequence[str]]


class Registry(Mapping[str, NodeSpec]):
    """Every node known to this process. Two nodes of one name are an error of whoever builds it."""

    def __init__(self, specs: Iterable[NodeSpec] = ()):
        self._specs: dict[str, NodeSpec] = {}
        for spec in specs:
            self.add(spec)

    def add(self, spec: NodeSpec) -> None:
        known = self._specs.get(spec.id)
        if known is not None:
            packs = f"{known.declaration.pack} and {spec.declaration.pack}"
            raise ValueError(f"two nodes are called {spec.id!r}, in {packs}; rename one")
        self._specs[spec.id] = spec

    def __getitem__(self, id: str) -> NodeSpec:
        return self._specs[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


def catalogue_of(nodes: Mapping[str, NodeSpec], listing: Listing | None = None) -> dict[str, Declaration]:
    """The declarations of `nodes`, with the choices of listings afresh when `listing` can supply them."""
    declared = {id: spec.redeclare() if spec.redeclare else spec.declaration for id, spec in nodes.items()}
    if listing is None:
        return declared
    held: dict[str, tuple[str, ...]] = {}
    return {id: with_fresh_choices(declaration, listing, held) for id, declaration in declared.items()}


def with_fresh_choices(declaration: Declaration, listing: Listing, held: dict[str, tuple[str, ...]]) -> Declaration:
    """held: listings already asked for, so that a folder is read once per question."""
    if not any(spec.choices_from for spec in declaration.inputs):
        return declaration
    inputs = tuple(
        replace(spec, choices=_held(spec.choices_from, listing, held)) if spec.choices_from else spec
        for spec in declaration.inputs
    )
    return replace(declaration, inputs=inputs)


def _held(name: str, listing: Listing, held: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    if name not in held:
        held[name] = tuple(listing(name))
    return held[name]
