"""How a declaration looks in `/object_info`: the classic form and the newer schema form, byte for byte what clients
and editors know."""

from collections.abc import Mapping, Sequence
from typing import Any

from execution.registry import Listing
from execution.spec import NOTHING, Declaration, InputSpec, OutputSpec


def describe_all(catalogue: Mapping[str, Declaration], listing: Listing | None = None) -> dict[str, Any]:
    """Class name → entry. listing: supplies the choices of inputs that name one; each is asked once."""
    held: dict[str, Sequence[str]] = {}

    def once(name: str) -> Sequence[str]:
        if name not in held:
            held[name] = listing(name) if listing else ()
        return held[name]

    return {id: describe(declaration, once if listing else None) for id, declaration in catalogue.items()}


def describe(declaration: Declaration, listing: Listing | None = None) -> dict[str, Any]:
    """One entry of `/object_info`."""
    required = {spec.name: input_entry(spec, listing) for spec in declaration.inputs if spec.required}
    optional = {spec.name: input_entry(spec, listing) for spec in declaration.inputs if not spec.required}
    hidden = {name: [kind] if declaration.modern else kind for name, kind in declaration.hidden.items()}
    inputs = {"required": required}
    if optional:
        inputs["optional"] = optional
    if hidden:
        inputs["hidden"] = hidden
    entry: dict[str, Any] = {
        "input": inputs,
        "input_order": {section: list(names) for section, names in inputs.items()},
        "output": [_output_type(output) for output in declaration.outputs],
        "output_is_list": [output.is_list for output in declaration.outputs],
        "output_name": [output.name or _output_type(output) for output in declaration.outputs],
        "name": declaration.id,
        "display_name": declaration.title,
        "description": declaration.description,
        "python_module": declaration.pack,
        "category": declaration.category,
        "output_node": declaration.is_output,
    }
    if declaration.modern:
        entry["output_tooltips"] = [output.tooltip for output in declaration.outputs]
        entry["deprecated"] = declaration.deprecated
        entry["experimental"] = declaration.experimental
        entry["api_node"] = False
    else:
        if declaration.title is None:
            entry["display_name"] = declaration.id
        if any(output.tooltip is not None for output in declaration.outputs):
            entry["output_tooltips"] = [output.tooltip or "" for output in declaration.outputs]
        if declaration.deprecated:
            entry["deprecated"] = True
        if declaration.experimental:
            entry["experimental"] = True
    entry.update(declaration.extra)
    return entry


def input_entry(spec: InputSpec, listing: Listing | None = None) -> list[Any]:
    """`[type, options]`; `[type]` alone for an input that declares no options at all in the classic form."""
    if spec.options is NOTHING and spec.classic:
        return [_shown_type(spec, listing)]
    return input_config(spec, listing)


def input_config(spec: InputSpec, listing: Listing | None = None) -> list[Any]:
    """`[type, options]`, always both, as complaints about an input show it."""
    options = dict(spec.options)
    if spec.type == "COMBO" and not spec.classic and spec.choices is not None:
        options["options"] = list(choices_of(spec, listing))
    return [_shown_type(spec, listing), options]


def choices_of(spec: InputSpec, listing: Listing | None = None) -> Sequence[Any]:
    """The members of a combo, afresh where it names a listing and there is one to ask."""
    if spec.choices_from and listing:
        return listing(spec.choices_from)
    return spec.choices or ()


def _shown_type(spec: InputSpec, listing: Listing | None) -> Any:
    if spec.type == "COMBO" and spec.classic and (spec.choices is not None or spec.choices_from):
        return list(choices_of(spec, listing))
    return spec.type


def _output_type(output: OutputSpec) -> Any:
    return list(output.type) if isinstance(output.type, tuple) else output.type
