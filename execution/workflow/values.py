"""Widget values by name: which position of `widgets_values` belongs to which input.

The list follows the order in which an editor makes the widgets of a node, and holds entries that no input explains:
the mode beside a seed, the caption of an upload button. A list that is shorter than expected leaves the rest to the
defaults; a longer one is cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from execution.spec import WIDGET_TYPES, Declaration, InputSpec
from execution.workflow.read import FileNode

SEEDS = ("seed", "noise_seed")
UPLOADS = ("image_upload", "video_upload", "animated_image_upload")
FURTHER_WIDGET_TYPES = ("COLOR", "MARKDOWN", "IMAGECOMPARE", "BOUNDING_BOX", "CURVE", "WEBCAM")


def makes_widget(spec: InputSpec) -> bool:
    """Whether an editor shows a field for this input, so that it has a place in `widgets_values`."""
    return could_be_widget(spec) and not spec.options.get("forceInput")


def could_be_widget(spec: InputSpec) -> bool:
    return spec.choices is not None or spec.type in WIDGET_TYPES or spec.type in FURTHER_WIDGET_TYPES


def places(declaration: Declaration, forced: bool = False) -> Iterator[str | None]:
    """The input at each position of `widgets_values`; None where the entry is the editor's own.

    forced: count inputs that only take links as well, as editors of old did.
    """
    upload_pending = False
    required_over = False
    for spec in declaration.inputs:
        if not spec.required and not required_over:
            required_over = True
            if upload_pending:
                yield None
                upload_pending = False
        if not makes_widget(spec):
            if forced and could_be_widget(spec):
                yield None
            continue
        yield spec.name
        combo = spec.choices is not None or spec.type == "COMBO"
        controlled = spec.options.get("control_after_generate")
        if combo and controlled:
            yield from (None, None)
        elif controlled or (spec.type == "INT" and spec.name in SEEDS):
            yield None
        if spec.options.get("audio_upload"):
            yield from (None, None)
        upload_pending = upload_pending or any(spec.options.get(key) for key in UPLOADS)
    if upload_pending:
        yield None


def widget_values(node: FileNode, declaration: Declaration) -> dict[str, Any]:
    """Input name → value, for every input that has a widget: the file's value, else the declared default.

    An input with neither is left out, and validation will say so.
    """
    widgets = {spec.name: spec for spec in declaration.inputs if makes_widget(spec)}
    given: Mapping[str, Any]
    if isinstance(node.values, Mapping):
        given = node.values
    elif node.named is not None:
        given = node.named
    else:
        given = positional(node.values, declaration)
    values = {name: default_of(spec) for name, spec in widgets.items() if default_of(spec) is not None}
    return {**values, **{name: value for name, value in given.items() if name in widgets}}


def positional(values: Sequence[Any], declaration: Declaration) -> dict[str, Any]:
    expected = list(places(declaration))
    with_forced = list(places(declaration, forced=True))
    if len(values) == len(with_forced) != len(expected):
        expected = with_forced
    return {name: value for name, value in zip(expected, values, strict=False) if name is not None}


def default_of(spec: InputSpec) -> Any:
    if "default" in spec.options:
        return spec.options["default"]
    if spec.choices:
        return spec.choices[0]
    options: Any = spec.options.get("options")
    if isinstance(options, Sequence) and options and not isinstance(options, str):
        return options[0]  # pyright: ignore[reportUnknownVariableType]
    return None
