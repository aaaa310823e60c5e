"""Dataclasses to plain data and back, by their annotations alone, so that no pickle ever crosses a process.

A codec is built once per type and checks everything it decodes. A dataclass becomes the list of its fields, a union of
dataclasses `[class name, fields]`, any other union `[number of the alternative, value]`; `Any` is JSON as it is. Bytes
do not fit into JSON: they go to a list of blobs beside it, and their index stands in their place. Sequences come back
as tuples, mappings as dicts.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

Blobs = list[bytes]


class Malformed(ValueError):
    """Data that is not what its type says. where: the type or field; expected: in words; got: what came instead."""

    def __init__(self, where: str, expected: str, got: object):
        self.where, self.expected, self.got = where, expected, got
        super().__init__(f"{where}: expected {expected}, got {repr(got)[:200]}")


@dataclass(frozen=True, slots=True)
class Codec:
    """encode(value, blobs) → what json.dumps accepts, appending to blobs; None when the value is such already.
    decode(plain, blobs) → the value; raises Malformed. accepts(value): whether a value is of this type, for unions."""

    encode: Callable[[Any, Blobs], Any] | None
    decode: Callable[[Any, Sequence[bytes]], Any]
    accepts: Callable[[Any], bool]

    def plain(self, value: Any, blobs: Blobs) -> Any:
        return value if self.encode is None else self.encode(value, blobs)


@cache
def codec(kind: Any, where: str = "value") -> Codec:
    """The codec of a type. Raises TypeError for a type that has no plain form."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return Codec(None, lambda plain, _: plain, lambda _: True)
    if kind in _SCALARS:
        return _scalar(kind, where)
    if kind is bytes:
        return _bytes(where)
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind)
    if origin is Literal:
        return _literal(args, where)
    if origin in (Union, types.UnionType):
        return _union(args, where)
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        return _tuple(args, where)
    if origin in (tuple, list, Sequence):
        return _sequence(args[0], where)
    if origin in (dict, Mapping):
        return _mapping(args, where)
    raise TypeError(f"{where}: {kind!r} has no plain form")


_SCALARS: Mapping[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a string"),
    bool: ((bool,), "true or false"),
    int: ((int,), "an integer"),
    float: ((float, int), "a number"),
    type(None): ((type(None),), "nothing"),
}


def _scalar(kind: Any, where: str) -> Codec:
    accepted, name = _SCALARS[kind]

    def decode(plain: Any, _: Sequence[bytes]) -> Any:
        if type(plain) in accepted:  # not isinstance: true is no integer
            return plain
        raise Malformed(where, name, plain)

    return Codec(None, decode, lambda value: isinstance(value, accepted))


def _bytes(where: str) -> Codec:
    def encode(value: bytes, blobs: Blobs) -> int:
        blobs.append(value)
        return len(blobs) - 1

    def decode(plain: Any, blobs: Sequence[bytes]) -> bytes:
        if type(plain) is int and 0 <= plain < len(blobs):
            return blobs[plain]
        raise Malformed(where, f"the number of one of {len(blobs)} blobs", plain)

    return Codec(encode, decode, lambda value: isinstance(value, bytes))


def _record(kind: type) -> Codec:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(cast(Any, kind))]
    codecs = [codec(hints[name], f"{kind.__name__}.{name}") for name in names]
    decoders = [each.decode for each in codecs]

    take = attrgetter(*names) if len(names) > 1 else _fields_one_by_one(names)
    changes = [(number, each.encode) for number, each in enumerate(codecs) if each.encode is not None]

    def encode(value: Any, blobs: Blobs) -> list[Any]:
        plain = list(take(value))  # one call into C; most fields are plain as they are
        for number, change in changes:
            plain[number] = change(plain[number], blobs)
        return plain

    def decode(plain: Any, blobs: Sequence[bytes]) -> Any:
        items = _items(plain, kind.__name__)
        if len(items) != len(decoders):
            raise Malformed(kind.__name__, f"{len(decoders)} fields", items)
        return kind(*[each(item, blobs) for each, item in zip(decoders, items, strict=True)])

    return Codec(encode if changes else lambda value, _: take(value), decode, lambda value: isinstance(value, kind))


def _fields_one_by_one(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda value: tuple(getattr(value, name) for name in names)  # attrgetter makes no tuple of one or none


def _literal(allowed: tuple[Any, ...], where: str) -> Codec:
    def decode(plain: Any, _: Sequence[bytes]) -> Any:
        if any(plain == each and type(plain) is type(each) for each in allowed):
            return plain
        raise Malformed(where, "one of " + ", ".join(map(repr, allowed)), plain)

    return Codec(None, decode, lambda value: value in allowed)


def _union(alternatives: tuple[Any, ...], where: str) -> Codec:
    if type(None) in alternatives:
        rest = tuple(kind for kind in alternatives if kind is not type(None))
        return _optional(codec(Union[rest], where))  # noqa: UP007  # built from a tuple
    if all(is_dataclass(kind) for kind in alternatives):
        return _tagged(alternatives, where)
    codecs = [codec(kind, where) for kind in alternatives]

    def encode(value: Any, blobs: Blobs) -> list[Any]:
        for number, each in enumerate(codecs):
            if each.accepts(value):
                return [number, each.plain(value, blobs)]
        raise Malformed(where, " or ".join(map(str, alternatives)), value)

    def decode(plain: Any, blobs: Sequence[bytes]) -> Any:
        match plain:
            case [int() as number, inner] if 0 <= number < len(codecs):
                return codecs[number].decode(inner, blobs)
            case _:
                raise Malformed(where, "[alternative, value]", plain)

    return Codec(encode, decode, lambda value: any(each.accepts(value) for each in codecs))


def _optional(inner: Codec) -> Codec:
    def decode(plain: Any, blobs: Sequence[bytes]) -> Any:
        return None if plain is None else inner.decode(plain, blobs)

    change = inner.encode

    def encode(value: Any, blobs: Blobs) -> Any:
        return value if value is None or change is None else change(value, blobs)

    return Codec(change and encode, decode, lambda value: value is None or inner.accepts(value))


def _tagged(kinds: tuple[type, ...], where: str) -> Codec:
    codecs = {kind.__name__: codec(kind) for kind in kinds}

    encoders = {kind: (kind.__name__, codec(kind).plain) for kind in kinds}

    def encode(value: Any, blobs: Blobs) -> tuple[str, Any]:
        try:
            name, plain = encoders[type(value)]
        except KeyError:
            raise Malformed(where, "one of " + ", ".join(codecs), value) from None
        return name, plain(value, blobs)

    def decode(plain: Any, blobs: Sequence[bytes]) -> Any:
        match plain:
            case [str() as name, inner] if name in codecs:
                return codecs[name].decode(inner, blobs)
            case _:
                raise Malformed(where, "[one of " + ", ".join(codecs) + ", fields]", plain)

    return Codec(encode, decode, lambda value: isinstance(value, kinds))


def _items(plain: Any, where: str) -> list[Any]:
    if type(plain) is not list:
        raise Malformed(where, "a list", plain)
    return cast(list[Any], plain)


def _sequence(item: Any, where: str) -> Codec:
    each = codec(item, where)

    def encode(value: Sequence[Any], blobs: Blobs) -> list[Any]:
        return list(value) if each.encode is None else [each.encode(item, blobs) for item in value]

    def decode(plain: Any, blobs: Sequence[bytes]) -> tuple[Any, ...]:
        return tuple([each.decode(item, blobs) for item in _items(plain, where)])

    return Codec(encode, decode, lambda value: isinstance(value, Sequence) and not isinstance(value, str | bytes))


def _tuple(kinds: tuple[Any, ...], where: str) -> Codec:
    codecs = [codec(kind, where) for kind in kinds]

    def encode(value: tuple[Any, ...], blobs: Blobs) -> list[Any]:
        return [each.plain(item, blobs) for each, item in zip(codecs, value, strict=True)]

    def decode(plain: Any, blobs: Sequence[bytes]) -> tuple[Any, ...]:
        items = _items(plain, where)
        if len(items) != len(codecs):
            raise Malformed(where, f"{len(codecs)} items", plain)
        return tuple([each.decode(item, blobs) for each, item in zip(codecs, items, strict=True)])

    return Codec(encode, decode, lambda value: isinstance(value, tuple))


def _mapping(kinds: tuple[Any, ...], where: str) -> Codec:
    key, item = kinds
    if key is not str:
        raise TypeError(f"{where}: the keys of a plain mapping are strings, not {key!r}")
    each = codec(item, where)

    def encode(value: Mapping[str, Any], blobs: Blobs) -> dict[str, Any]:
        if each.encode is None:
            return cast(dict[str, Any], value) if type(value) is dict else dict(value)
        return {name: each.encode(item, blobs) for name, item in value.items()}

    def decode(plain: Any, blobs: Sequence[bytes]) -> dict[str, Any]:
        if type(plain) is not dict:
            raise Malformed(where, "an object", plain)
        return {name: each.decode(item, blobs) for name, item in cast(dict[str, Any], plain).items()}

    return Codec(encode, decode, lambda value: isinstance(value, Mapping))
