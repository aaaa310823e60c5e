"""What a class of the older style (V1) says about itself, read into a `Declaration`; odd shapes and all."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, cast

from compat.hidden import BY_ID
from compat.listed import Listed
from execution.kind import named_parameters
from execution.spec import ANY, NOTHING, Declaration, InputSpec, OutputSpec

NEVER_A_TYPE = "heddle: no socket is called this"
_FLAGS = {"search_aliases": "SEARCH_ALIASES", "essentials_category": "ESSENTIALS_CATEGORY", "dev_only": "DEV_ONLY"}
UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "audio_upload", "file_upload")


class BadClass(TypeError):
    """A class is no node. The text says what is missing."""


def declare(id: str, kind: Any, title: str | None, source: str) -> Declaration:
    """kind: the class. source: where it comes from, `custom_nodes.<pack>`. Raises BadClass, and what the class does."""
    function = getattr(kind, "FUNCTION", None)
    if not isinstance(function, str):
        raise BadClass(f"{getattr(kind, '__name__', kind)} has no FUNCTION, the name of the method to call")
    if not hasattr(kind, "INPUT_TYPES"):
        raise BadClass(f"{kind.__name__} has no INPUT_TYPES")
    types: Any = kind.INPUT_TYPES()
    sections: Mapping[str, Any] = cast(Mapping[str, Any], types) if isinstance(types, Mapping) else {}
    # An empty one may still claim every key.
    required, optional, hidden = (sections.get(name) for name in ("required", "optional", "hidden"))
    checked = _looked_at(getattr(kind, "VALIDATE_INPUTS", None))
    return Declaration(
        id=id,
        title=title or None,
        category=str(getattr(kind, "CATEGORY", "sd")),
        inputs=(
            *_inputs(required, True, checked),
            *_inputs(optional, False, checked),
        ),
        outputs=_outputs(kind),
        hidden={str(name): _hidden_kind(value) for name, value in _items(hidden)},
        pack=source,
        description=str(getattr(kind, "DESCRIPTION", "") or ""),
        is_output=bool(getattr(kind, "OUTPUT_NODE", False) is True),
        takes_lists=bool(getattr(kind, "INPUT_IS_LIST", False)),
        is_async=inspect.iscoroutinefunction(getattr(kind, function, None)),
        keyed_by_id=bool(getattr(kind, "NOT_IDEMPOTENT", False)) or _sees_its_id(hidden),
        has_fingerprint=hasattr(kind, "IS_CHANGED"),
        has_check=hasattr(kind, "VALIDATE_INPUTS"),
        has_needs=hasattr(kind, "check_lazy_status"),
        check_takes_types=checked is not None and "input_types" in checked,
        accepts_anything=_claims_every_key(optional) or _claims_every_key(required),
        deprecated=bool(getattr(kind, "DEPRECATED", False)),
        experimental=bool(getattr(kind, "EXPERIMENTAL", False)),
        extra={key: getattr(kind, name) for key, name in _FLAGS.items() if getattr(kind, name, None)}
        | ({"api_node": True} if getattr(kind, "API_NODE", False) else {}),
    )


def _looked_at(validator: Any) -> frozenset[str] | None:
    """The inputs a validator takes over; None where it takes all of them."""
    return frozenset() if validator is None else named_parameters(validator)


def _items(section: Any) -> Iterable[tuple[Any, Any]]:
    return cast(Mapping[Any, Any], section).items() if isinstance(section, Mapping) else ()


def _claims_every_key(section: Any) -> bool:
    """A dict that says it holds every key takes every input there is."""
    try:
        return NEVER_A_TYPE in section
    except Exception:  # a dict of someone else's making
        return False


def _sees_its_id(hidden: Any) -> bool:
    return any(_hidden_kind(value) in BY_ID for _, value in _items(hidden))


def _hidden_kind(value: Any) -> str:
    first: Any = next(iter(cast(Iterable[Any], value)), "") if isinstance(value, (list, tuple)) else value
    return _text(first) if isinstance(first, str) else str(first)


def _inputs(section: Any, required: bool, checked: frozenset[str] | None) -> list[InputSpec]:
    return [_input(str(name), entry, required, checked is None or name in checked) for name, entry in _items(section)]


def _input(name: str, entry: Any, required: bool, self_checked: bool) -> InputSpec:
    """entry: (type,), (type, options), the same as a list, or the bare type."""
    parts: Sequence[Any] = cast(Sequence[Any], entry) if isinstance(entry, (list, tuple)) else (entry,)
    kind: Any = parts[0] if parts else ANY
    options: Mapping[str, Any] = NOTHING
    if len(parts) > 1 and isinstance(parts[1], Mapping):
        options = dict(cast(Mapping[str, Any], parts[1]))
    if _is_choices(kind):
        listing = kind.kind if isinstance(kind, Listed) and kind.is_untouched else None
        choices = tuple(cast(Iterable[Any], kind))
        return InputSpec(
            name,
            "COMBO",
            required,
            options,
            choices=choices,
            choices_from=listing,
            names_file=any(options.get(upload) for upload in UPLOADS),
            self_checked=self_checked,
        )
    if _is_list_of_choices(entry):
        return InputSpec(name, "COMBO", required, NOTHING, choices=tuple(parts))
    type_name = socket_type(kind)
    if type_name == "COMBO":
        listed: Any = options.get("options")
        choices = tuple(cast(Iterable[Any], listed)) if isinstance(listed, Iterable) else None
        return InputSpec(name, "COMBO", required, options, choices, classic=False, self_checked=self_checked)
    return InputSpec(name, type_name, required, options, self_checked=self_checked)


def _is_choices(kind: object) -> bool:
    return not isinstance(kind, (str, Enum)) and isinstance(kind, Iterable)


def _is_list_of_choices(entry: Any) -> bool:
    """`["a", "b"]` where `(["a", "b"],)` was meant: texts that cannot be a type and its options."""
    if not isinstance(entry, list):
        return False
    items = cast(list[Any], entry)
    return len(items) > 1 and all(isinstance(item, str) for item in items)


def socket_type(kind: Any) -> str:
    """The name of a type. A text that is unlike nothing is how packs write "any"."""
    if isinstance(kind, str):
        return ANY if _differs_from_nothing(kind) else _text(kind)
    return ANY if kind is None or kind is Any else str(kind)


def _differs_from_nothing(kind: str) -> bool:
    try:
        return not (kind != NEVER_A_TYPE)  # noqa: SIM202  # `__ne__` is what such types override
    except Exception:
        return False


def _text(value: str) -> str:
    """The plain text of a text of any class."""
    return str(value.value) if isinstance(value, Enum) else str.__str__(value)


def _outputs(kind: Any) -> tuple[OutputSpec, ...]:
    types: Any = getattr(kind, "RETURN_TYPES", ()) or ()
    if isinstance(types, str):
        types = (types,)  # `("IMAGE")` where `("IMAGE",)` was meant
    names = _texts(getattr(kind, "RETURN_NAMES", ()))
    flags: Any = getattr(kind, "OUTPUT_IS_LIST", ()) or ()
    lists = cast(Sequence[Any], flags if isinstance(flags, (list, tuple)) else (flags,))
    tips = _texts(getattr(kind, "OUTPUT_TOOLTIPS", ()))
    outputs: list[OutputSpec] = []
    for i, entry in enumerate(cast(Iterable[Any], types)):
        is_text = isinstance(entry, (str, Enum)) or not isinstance(entry, Iterable)
        type_name: str | tuple[Any, ...] = socket_type(entry) if is_text else tuple(cast(Iterable[Any], entry))
        outputs.append(
            OutputSpec(
                name=names[i] if i < len(names) else "",
                type=type_name,
                is_list=bool(lists[i]) if i < len(lists) else False,
                tooltip=tips[i] if i < len(tips) else None,
            )
        )
    return tuple(outputs)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in cast(Iterable[Any], value)] if isinstance(value, Iterable) else []
