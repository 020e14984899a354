"""JSON of unknown origin into frozen dataclasses: exact types, bounded sizes, nothing that was not wanted."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import stat
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_LONGEST_TEXT = 100_000  # characters of one string
_MOST_ITEMS = 1_000_000  # of one list or object


def read_json(path: Path, *, limit: int) -> Any:
    """The value in the file at `path`, which is a file of its own (no link) of at most `limit` bytes.

    Raises OSError where it cannot be read, ValueError for anything but sound JSON.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it is over {limit} bytes")
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def decode(kind: type[T], value: Any, where: str = "") -> T:
    """`value` as the dataclass `kind`; keys that it does not have are dropped, those with a default may lack.

    Raises ValueError, which names the place, for a missing key, a wrong type or a number that is not finite.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'it'} is no object")
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast("Any", kind)):
        place = f"{where}.{field.name}" if where else field.name
        if field.name in value:
            found[field.name] = _decoded(hints[field.name], value[field.name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{place} is missing")
    return kind(**found)


def _decoded(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return _plain(value, where)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(hint), value, where)
    if origin is Literal:
        if not isinstance(value, str) or value not in get_args(hint):
            raise ValueError(f"{where} is none of {', '.join(get_args(hint))}")
        return value
    if origin is tuple:
        return tuple(_decoded(get_args(hint)[0], one, where) for one in _bounded(list, value, where))
    if origin is Mapping:
        items = _bounded(dict, value, where).items()
        return {_text(key, where): _decoded(get_args(hint)[1], one, where) for key, one in items}
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type", hint), value, where)
    return _scalar(hint, value, where)


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    for kind in kinds:
        if kind is type(None):
            if value is None:
                return None
        else:
            try:
                return _decoded(kind, value, where)
            except ValueError as error:
                problem = error
    raise problem


def _scalar(kind: type, value: Any, where: str) -> Any:
    if kind is str:
        return _text(value, where)
    if kind is float and type(value) in (int, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is not finite")
        return float(value)
    if type(value) is not kind:  # a bool is no number
        raise ValueError(f"{where} is no {_WORDS[kind]}")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(f"{where} is no text, or too long")
    return value


def _bounded(kind: type[list[Any]] | type[dict[str, Any]], value: Any, where: str) -> Any:
    if not isinstance(value, kind) or len(value) > _MOST_ITEMS:
        raise ValueError(f"{where} is no {_WORDS[kind]}, or too long")
    return value


def _plain(value: Any, where: str) -> Any:
    """Any JSON value, its texts bounded."""
    if isinstance(value, dict):
        return {_text(key, where): _plain(one, where) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, where) for one in value]
    return _text(value, where) if isinstance(value, str) else value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    list: "list",
    dict: "object",
}
