"""What changed between two values: settings, parameters, schemas, rows of data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.matching import Matcher, Patience, TooLongError

__all__ = ["ValueChange", "canonical", "diff_values"]

_DEEPEST = 64
"""Levels below which values are compared as a whole."""

_MAX_STEPS = 2_000_000
_PLAIN_KEY = re.compile(r"[^\W\d][\w-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """A value that differs.

    Attributes:
        path: The way to it: ``environments.staging.limits[2]``; empty for the whole.
        kind: ``added``, ``removed`` or ``changed``.
        before: What it was; None when it was not there.
        after: What it is; None when it is gone.
    """

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Json
    after: Json


def diff_values(before: Json, after: Json, path: str = "") -> list[ValueChange]:
    """Compare two values by what they mean: the order of keys counts for nothing, and 1 is 1.0 but not ``true``.

    Args:
        before: The older value.
        after: The newer value.
        path: The way to them.

    Returns:
        The differences, each as far down as it can be told, in the order of the newer value.
    """
    return list(_differences(before, after, path, _DEEPEST, Patience(_MAX_STEPS)))


def canonical(value: Json) -> str:
    """A text that two values share exactly when they mean the same."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _differences(before: Json, after: Json, path: str, depth: int, patience: Patience) -> Iterator[ValueChange]:
    if depth and isinstance(before, dict) and isinstance(after, dict):
        yield from _of_mappings(before, after, path, depth, patience)
    elif depth and isinstance(before, list) and isinstance(after, list):
        yield from _of_lists(before, after, path, depth, patience)
    elif canonical(before) != canonical(after):
        yield ValueChange(path=path, kind="changed", before=before, after=after)


def _of_mappings(
    before: JsonObject, after: JsonObject, path: str, depth: int, patience: Patience
) -> Iterator[ValueChange]:
    for key in dict.fromkeys([*after, *before]):
        below = _below(path, key)
        if key not in before:
            yield ValueChange(path=below, kind="added", before=None, after=after[key])
        elif key not in after:
            yield ValueChange(path=below, kind="removed", before=before[key], after=None)
        else:
            yield from _differences(before[key], after[key], below, depth - 1, patience)


def _of_lists(
    before: Sequence[Json], after: Sequence[Json], path: str, depth: int, patience: Patience
) -> Iterator[ValueChange]:
    for old_first, old_last, new_first, new_last in _replaced(before, after, patience):
        paired = min(old_last - old_first, new_last - new_first)
        for step in range(paired):
            way = f"{path}[{new_first + step}]"
            yield from _differences(before[old_first + step], after[new_first + step], way, depth - 1, patience)
        for number in range(old_first + paired, old_last):
            yield ValueChange(path=f"{path}[{number}]", kind="removed", before=before[number], after=None)
        for number in range(new_first + paired, new_last):
            yield ValueChange(path=f"{path}[{number}]", kind="added", before=None, after=after[number])


def _replaced(before: Sequence[Json], after: Sequence[Json], patience: Patience) -> Iterator[tuple[int, int, int, int]]:
    """The parts of two lists that differ."""
    old, new = [canonical(one) for one in before], [canonical(one) for one in after]
    try:
        codes = Matcher(old, new, patience).get_opcodes()
    except TooLongError:
        yield 0, len(old), 0, len(new)
        return
    yield from (code[1:] for code in codes if code[0] != "equal")


def _plain(value: Json) -> Json:
    """The same value with every number in one spelling."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def _below(path: str, key: str) -> str:
    step = key if _PLAIN_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    return f"{path}.{step}" if path else step
