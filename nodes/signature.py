"""Reading a node's signature: parameters and return annotation → inputs, outputs, capabilities; mistakes raise."""

import inspect
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from execution.spec import OutputSpec
from nodes.markers import Choice, Each, Mark, Number, Options, Out, Socket, Text, Ui

WIDGETS: dict[Any, str] = {int: "INT", float: "FLOAT", str: "STRING", bool: "BOOLEAN"}


class DeclarationError(TypeError):
    """A node is declared wrongly; raised while its module is imported."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a node's function. `given` is set for capabilities, which are not inputs."""

    name: str
    type: str
    """On the wire."""
    required: bool = True
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    choices: tuple[str, ...] | None = None
    listing: str | None = None
    classic: bool | None = None
    names_file: bool = False
    many: bool = False
    socket: Socket | None = None
    given: Any = None
    gathered_in: str | None = None
    """The function's parameter that gets this input among others, as a mapping by name."""

    def read(self, value: Any, takes_lists: bool) -> Any:
        """A wire value as the function wants it: of its type, or refused with a sentence."""
        if self.given is not None:
            return value
        if not takes_lists:
            return self._read_one(value)
        values = [self._read_one(one) for one in value]
        if self.many:
            return values
        if not values:
            raise ValueError(f'"{self.name}": expected one {self.type}, got an empty list')
        return values[0]

    def _read_one(self, value: Any) -> Any:
        if value is None and not self.required:
            return None
        try:
            if self.socket is not None:
                return self.socket.read(value) if self.socket.read else value
            return self._read_widget(value)
        except ValueError as refused:
            raise ValueError(f'"{self.name}": {refused}') from refused

    def _read_widget(self, value: Any) -> Any:
        match self.type:
            case "INT" | "FLOAT":
                return read_number(value, int if self.type == "INT" else float)
            case "STRING" | "COMBO" if not isinstance(value, str):
                raise ValueError(f"expected a text, got {describe(value)}")
            case "COMBO" if self.choices and value not in self.choices:
                raise ValueError(f"expected one of {', '.join(self.choices)}; got {value!r}")
            case "BOOLEAN":
                return bool(value)
            case _:
                return value


@dataclass(frozen=True, slots=True)
class Signature:
    """parameters: in order, capabilities among them. many: the function returns a tuple, one value per output."""

    parameters: tuple[Parameter, ...]
    outputs: tuple[OutputSpec, ...]
    many: bool

    @property
    def inputs(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.given is None)

    @property
    def takes_lists(self) -> bool:
        return any(p.many for p in self.parameters)


def describe(value: object) -> str:
    """A value in a few words, for messages."""
    if value is None:
        return "nothing; what comes before it has none to give"
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} of shape {tuple(shape)}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def read_number(value: Any, kind: type[int] | type[float]) -> int | float:
    if isinstance(value, str):
        raise ValueError(f"expected a number, got {describe(value)}")
    try:
        if not math.isfinite(value):
            raise ValueError(f"expected a finite number, got {value}")
        return kind(value)
    except TypeError:
        raise ValueError(f"expected a number, got {describe(value)}") from None


def read_signature(function: Callable[..., Any], id: str) -> Signature:
    if inspect.iscoroutinefunction(function):
        raise DeclarationError(f"{id}: expected a plain function, got a coroutine function")
    hints = get_type_hints(function, include_extras=True)
    if "return" not in hints:
        raise DeclarationError(f"{id}: expected a return annotation, got none")
    parameters: list[Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise DeclarationError(f'{id}: "{name}" must be keyword-only (write `*,` before the first parameter)')
        if name not in hints:
            raise DeclarationError(f'{id}: "{name}" has no annotation')
        parameters += read_parameters(id, name, hints[name], parameter.default)
    outputs, many = read_outputs(id, hints["return"])
    return Signature(tuple(parameters), outputs, many)


def read_parameters(id: str, name: str, annotation: Any, default: Any) -> list[Parameter]:
    """The one input that a parameter is, or those that it gathers."""
    base, marks = unwrap(annotation)
    each = next((m for m in marks if isinstance(m, Each)), None)
    if each is None:
        return [read_parameter(f'{id}: "{name}"', name, annotation, default)]
    if get_origin(base) is not Mapping:
        raise DeclarationError(f'{id}: "{name}": Each belongs to a Mapping[str, kind], got {base}')
    kind = get_args(base)[1]
    read = (read_parameter(f'{id}: "{one}"', one, kind, each.default) for one in each.names)
    return [replace(one, gathered_in=name) for one in read]


def unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and its marks."""
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        return base, tuple(marks)
    return annotation, ()


def read_parameter(where: str, name: str, annotation: Any, default: Any) -> Parameter:
    has_default = default is not inspect.Parameter.empty
    base, marks = unwrap(annotation)
    if Mark.GIVEN in marks:
        return Parameter(name, getattr(base, "__name__", str(base)), given=base)
    optional = Mark.OPTIONAL in marks
    if get_origin(base) in (Union, types.UnionType):
        members = [member for member in get_args(base) if member is not types.NoneType]
        if len(members) != 1 or len(members) == len(get_args(base)):
            raise DeclarationError(f"{where}: expected one type, or one `| None`, got {base}")
        optional = True
        base, inner = unwrap(members[0])
        marks = (*inner, *marks)
    many = get_origin(base) is list
    if many:
        base, inner = unwrap(get_args(base)[0])
        marks = (*inner, *marks)
    if optional and not has_default:
        raise DeclarationError(f"{where}: an optional input needs a default")

    options: dict[str, Any] = {}
    if has_default and default is not None:
        options["default"] = default
    if Mark.LAZY in marks:
        options["lazy"] = True
    extra: Mapping[str, Any] = next((m for m in marks if isinstance(m, Options)), Options({})).options
    if socket := next((m for m in marks if isinstance(m, Socket)), None):
        if has_default and default is not None:
            raise DeclarationError(f"{where}: a {socket.type} socket cannot have the default {default!r}")
        return Parameter(name, socket.type, not optional, {**options, **extra}, many=many, socket=socket)
    if base not in WIDGETS:
        known = ", ".join(kind.__name__ for kind in WIDGETS)
        raise DeclarationError(f"{where}: expected {known}, or a type with a Socket; got {base}")
    if has_default and default is not None and type(default) is not base and (type(default), base) != (int, float):
        raise DeclarationError(f"{where}: expected a default of type {base.__name__}, got {default!r}")
    if choice := next((m for m in marks if isinstance(m, Choice)), None):
        return read_choice(where, name, base, choice, default, not optional, {**options, **extra})
    for mark in marks:
        options |= widget_options(where, base, mark, options.get("default"))
    return Parameter(name, WIDGETS[base], not optional, {**options, **extra}, many=many)


def read_choice(
    where: str, name: str, base: type, choice: Choice, default: Any, required: bool, options: dict[str, Any]
) -> Parameter:
    if base is not str:
        raise DeclarationError(f"{where}: a Choice is a str, got {base}")
    if choice.choices and "default" in options and default not in choice.choices:
        raise DeclarationError(f"{where}: the default {default!r} is not among {list(choice.choices)}")
    return Parameter(
        name,
        "COMBO",
        required,
        options,
        choices=tuple(choice.choices) if choice.choices or choice.listing else None,
        listing=choice.listing,
        classic=choice.classic,
        names_file=choice.names_file,
    )


def widget_options(where: str, base: type, mark: object, default: Any) -> dict[str, Any]:
    match mark:
        case Number():
            if base not in (int, float):
                raise DeclarationError(f"{where}: a Number belongs to an int or a float, got {base.__name__}")
            low = -math.inf if mark.min is None else mark.min
            high = math.inf if mark.max is None else mark.max
            if low > high or (default is not None and not low <= default <= high):
                raise DeclarationError(f"{where}: expected {low} ≤ default ≤ {high}, got {default}")
            shown = {"min": mark.min, "max": mark.max, "step": mark.step, "round": mark.round, "display": mark.display}
            options = {key: value for key, value in shown.items() if value is not None}
            return options | ({"control_after_generate": True} if mark.reroll else {})
        case Text():
            if base is not str:
                raise DeclarationError(f"{where}: a Text belongs to a str, got {base.__name__}")
            options: dict[str, Any] = {} if mark.multiline is None else {"multiline": mark.multiline}
            return options | ({"dynamicPrompts": True} if mark.dynamic else {})
        case _:
            return {}


def read_outputs(id: str, annotation: Any) -> tuple[tuple[OutputSpec, ...], bool]:
    if annotation is Ui:
        return (), False
    if get_origin(annotation) is tuple:
        return tuple(read_output(id, part) for part in get_args(annotation)), True
    return (read_output(id, annotation),), False


def read_output(id: str, annotation: Any) -> OutputSpec:
    """`X | None` is an X that may be missing, as the text encoders of a file that holds none."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(member for member in get_args(annotation) if member is not types.NoneType)
    base, marks = unwrap(annotation)
    is_list = get_origin(base) is list
    if is_list:
        base, inner = unwrap(get_args(base)[0])
        marks = (*inner, *marks)
    socket = next((m for m in marks if isinstance(m, Socket)), None)
    if socket is None and base not in WIDGETS:
        raise DeclarationError(f"{id}: expected an output type with a Socket, a widget type or Ui; got {annotation}")
    type = socket.type if socket else WIDGETS[base]
    name = next((m.name for m in marks if isinstance(m, Out)), type)
    return OutputSpec(name, type, is_list)
