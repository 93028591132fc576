"""JSON as registries speak it: parsed with suspicion, written in one way only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TypeAlias

__all__ = ["Json", "JsonObject", "encode", "parse_object"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"

_MAX_DIGITS = 25  # far more than any size has; beyond it, Python's own conversion becomes a way to waste time


def encode(value: Mapping[str, Json]) -> bytes:
    """The one encoding kitpack writes: UTF-8, no spaces, keys in the order given, so equal values are equal bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def parse_object(raw: bytes) -> JsonObject:
    """Read one JSON object.

    Two readers of the same bytes must see the same thing, so everything that parsers disagree about is refused:
    duplicate keys, a byte order mark, NaN, numbers without end, text after the value, lone surrogates.

    Raises:
        ValueError: When the bytes are not exactly one such object.
    """
    try:
        value: Json = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_bounded_int,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start})") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")
    return value


def _unique_keys(pairs: list[tuple[str, Json]]) -> JsonObject:
    result: JsonObject = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key[:80]!r} stands twice in one object")
        if _has_surrogate(key) or _has_surrogate(value):
            raise ValueError(f"the key or value of {key[:80]!r} holds half of a surrogate pair")
        result[key] = value
    return result


def _has_surrogate(value: Json) -> bool:
    """Whether a string, or one in a list, does; objects inside were asked when they were read."""
    if isinstance(value, list):
        return any(map(_has_surrogate, value))
    return isinstance(value, str) and not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value)


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _finite_float(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError(f"{digits[:40]} is too large a number")
    return number


def _bounded_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits is not one")
    return int(digits)
