"""Settings and boards as JSON, by the types of their dataclasses. From the gateway to the portal only.

Bytes are base64, times and numbers as they are, a dataclass is an object of its fields, one of several
dataclasses carries its name under "is". Reading takes exactly the fields that the type has.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from veildesk.link.frames import BadFrame

__all__ = ["dump", "load"]

_T = TypeVar("_T")


def dump(value: Any) -> bytes:
    """The JSON of a dataclass, the same for equal values."""
    return json.dumps(_out(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def load(kind: type[_T], data: bytes) -> _T:
    """The inverse of `dump`. Raises `BadFrame`."""
    try:
        made: _T = _in(kind, json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, re.error):
        raise BadFrame("shape") from None
    return made


def _out(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {f.name: _out(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, re.Pattern):
        return [value.pattern, bool(value.flags & re.IGNORECASE)]
    if isinstance(value, Mapping):
        return {str(key): _out(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return sorted(_out(one) for one in value)
    if isinstance(value, list | tuple):
        return [_out(one) for one in value]
    return value


def _in(kind: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return _one_of(arguments, value)
    if dataclasses.is_dataclass(kind):
        return _object(kind, value)
    if origin is re.Pattern:
        pattern, ignore_case = value
        return re.compile(_sure(str, pattern), re.IGNORECASE if _sure(bool, ignore_case) else 0)
    if origin is frozenset:
        return frozenset(_in(arguments[0], one) for one in _sure(list, value))
    if origin is tuple:
        return tuple(_in(arguments[0], one) for one in _sure(list, value))
    if origin is Mapping:
        return {_sure(str, key): _in(arguments[1], one) for key, one in _sure(dict, value).items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is bytes:
        return base64.b64decode(_sure(str, value), validate=True)
    if kind is Path:
        return Path(_sure(str, value))
    if kind is float:
        return float(_sure(int | float, value))
    return _sure(kind, value)


def _sure(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError("not of this type")
    return value


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    named = value.get("is") if isinstance(value, dict) else None
    others = [kind for kind in kinds if kind is not types.NoneType]
    for kind in others:
        if dataclasses.is_dataclass(kind) and typing.cast(type, kind).__name__ == named:
            return _in(kind, value)
    plain = [kind for kind in others if not dataclasses.is_dataclass(kind)]
    return _in(plain[0] if plain else others[0], value)


def _object(kind: Any, value: Any) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {name: one for name, one in _sure(dict, value).items() if name != "is"}
    if value.get("is") != kind.__name__ or fields.keys() != {f.name for f in dataclasses.fields(kind)}:
        raise TypeError("other fields")
    return kind(**{name: _in(hints[name], one) for name, one in fields.items()})
