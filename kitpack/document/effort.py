"""A bound on the work of holding values against a JSON Schema: a schema in a bundle is somebody else's program.

Definitions that refer to each other twice double the work with every step, lists of things that must all differ are
compared with each other, and a pattern can divide a long text in very many ways. So each check of a keyword is counted,
a text is not even tried against a pattern that could take long with it, and lists are compared by what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias, TypeVar, cast

from kitpack.document.patterns import work_of
from kitpack.oci.jsontext import Json

__all__ = ["Keyword", "TooMuchError", "bounded", "counted"]

V = TypeVar("V")
E = TypeVar("E")

Keyword: TypeAlias = "Callable[[V, Json, Json, Json], Iterator[E] | None]"
"""The check of one keyword: of a validator, what the keyword says, what is there, and the schema around it."""

_MOST_CHECKS = 1_000_000
_DEAR = {"$ref": 8, "$dynamicRef": 8}
"""How many other checks one is as dear as."""

_BY_NAMES = ("patternProperties", "additionalProperties", "unevaluatedProperties")

_LEFT: ContextVar[list[int] | None] = ContextVar("kitpack_checks_left", default=None)


class TooMuchError(Exception):
    """Checking would take too long."""


@contextmanager
def counted() -> Iterator[None]:
    """Count the checks until the context ends.

    Raises:
        TooMuchError: While checks are made, when there are too many of them.
    """
    token = _LEFT.set([_MOST_CHECKS])
    try:
        yield
    finally:
        _LEFT.reset(token)


def bounded(keywords: Mapping[str, Keyword[V, E]]) -> dict[str, Keyword[V, E]]:
    """The same keywords, but counted, and without those that can take for ever.

    Args:
        keywords: The checks by the names of their keywords.
    """
    found = {name: _spending(check, _DEAR.get(name, 1)) for name, check in keywords.items()}
    found["uniqueItems"] = _unique(keywords["uniqueItems"])
    found["pattern"] = _matching(found["pattern"])
    return found | {name: _matching_names(found[name]) for name in _BY_NAMES}


def _spend(checks: int) -> None:
    left = _LEFT.get()
    if left is None:
        return
    left[0] -= checks
    if left[0] < 0:
        raise TooMuchError(f"it takes more than {_MOST_CHECKS} checks")


def _spending(check: Keyword[V, E], checks: int) -> Keyword[V, E]:
    def spending(validator: V, wanted: Json, found: Json, schema: Json) -> Iterator[E] | None:
        _spend(checks)
        return check(validator, wanted, found, schema)

    return spending


def _matching(check: Keyword[V, E]) -> Keyword[V, E]:
    def matching(validator: V, wanted: Json, found: Json, schema: Json) -> Iterator[E] | None:
        if isinstance(found, str):
            _refuse_long(str(wanted), found)
        return check(validator, wanted, found, schema)

    return matching


def _matching_names(check: Keyword[V, E]) -> Keyword[V, E]:
    def matching(validator: V, wanted: Json, found: Json, schema: Json) -> Iterator[E] | None:
        patterns = schema.get("patternProperties") if isinstance(schema, dict) else None
        if isinstance(found, dict) and isinstance(patterns, dict):
            for pattern in patterns:
                _spend(len(found))
                _refuse_long(pattern, max(found, key=len, default=""))
        return check(validator, wanted, found, schema)

    return matching


def _refuse_long(pattern: str, text: str) -> None:
    if not work_of(pattern).fits(len(text)):
        raise TooMuchError(f"a text of {len(text)} characters is too long for the pattern {pattern[:60]!r}")


def _unique(check: Keyword[V, E]) -> Keyword[V, E]:
    def unique(validator: V, wanted: Json, found: Json, schema: Json) -> Iterator[E] | None:
        if not wanted or not isinstance(found, list):
            return None
        seen = set[object]()
        for one in found:
            _spend(1)
            key = _key(one)
            if key in seen:
                return check(validator, wanted, [one, one], schema)
            seen.add(key)
        return None

    return unique


def _key(value: Json) -> object:
    """Something that is equal for values that JSON Schema calls equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return frozenset((name, _key(member)) for name, member in value.items())
    if isinstance(value, list):
        return tuple(_key(member) for member in value)
    return (bool, value) if isinstance(value, bool) else cast("object", value)
