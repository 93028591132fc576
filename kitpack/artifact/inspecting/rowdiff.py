"""What changed between two versions of a dataset, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from kitpack.oci.jsontext import Json
from kitpack.prompts.valuediff import ValueChange, canonical, diff_values

__all__ = ["RowChange", "RowsDiff", "diff_rows"]

_IDS = ("id", "_id", "uuid", "uid", "key")
_NAMES = ("name", "title")
_MOST_PAIRS = 250_000
"""Pairs of rows without ids that are held against each other; among more, none is taken for the other's successor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A row that differs.

    Attributes:
        kind: ``added``, ``removed`` or ``changed``.
        key: The value that identifies it; empty when the dataset has no such column.
        row_before: Its number in the first version, counted from 1; 0 when it was not there.
        row_after: Its number in the second version; 0 when it is gone.
        before: What it was.
        after: What it is.
        values: Which of its values differ, when it changed.
    """

    kind: Literal["added", "removed", "changed"]
    key: str
    row_before: int
    row_after: int
    before: Json
    after: Json
    values: tuple[ValueChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsDiff:
    """The difference between two versions of a dataset.

    Attributes:
        rows_before: How many rows the first version has.
        rows_after: How many rows the second version has.
        column: The column that identifies rows; empty when rows are told apart by all they hold.
        added: How many rows are new.
        removed: How many rows are gone.
        changed: How many rows have other values.
        moved: Whether rows that both have stand in another order.
        changes: The rows that differ, in the order of the second version; those that are gone at the end.
    """

    rows_before: int
    rows_after: int
    column: str
    added: int
    removed: int
    changed: int
    moved: bool
    changes: tuple[RowChange, ...]


def diff_rows(before: Sequence[Json], after: Sequence[Json]) -> RowsDiff:
    """Compare two versions of a dataset.

    Rows belong together when a column that identifies them says so (``id``, ``…_id``, ``name``, …); without one, when
    they are equal, and then when at least half of their values are.
    """
    column = _identifying(before, after)
    pairs, common = _by_key(before, after, column) if column else _by_content(before, after)
    changes = tuple(_changes(before, after, pairs, column))
    kinds = Counter(change.kind for change in changes)
    return RowsDiff(
        rows_before=len(before),
        rows_after=len(after),
        column=column,
        added=kinds["added"],
        removed=kinds["removed"],
        changed=kinds["changed"],
        moved=any(one > other for one, other in pairwise(common)),
        changes=changes,
    )


def _changes(before: Sequence[Json], after: Sequence[Json], pairs: dict[int, int], column: str) -> Iterator[RowChange]:
    """The rows that differ.

    Args:
        before: The rows of the first version.
        after: The rows of the second version.
        pairs: For rows of the second version, which one of the first they were.
        column: What identifies them.
    """
    for number, row in enumerate(after):
        if number not in pairs:
            yield _change("added", 0, number + 1, None, row, column)
        elif values := diff_values(before[pairs[number]], row):
            old = pairs[number]
            yield _change("changed", old + 1, number + 1, before[old], row, column, tuple(values))
    left = set(pairs.values())
    for number, row in enumerate(before):
        if number not in left:
            yield _change("removed", number + 1, 0, row, None, column)


def _change(
    kind: Literal["added", "removed", "changed"],
    row_before: int,
    row_after: int,
    before: Json,
    after: Json,
    column: str,
    values: tuple[ValueChange, ...] = (),
) -> RowChange:
    row = before if kind == "removed" else after
    key = str(row[column]) if column and isinstance(row, dict) else ""
    return RowChange(
        kind=kind, key=key, row_before=row_before, row_after=row_after, before=before, after=after, values=values
    )


def _identifying(before: Sequence[Json], after: Sequence[Json]) -> str:
    """The column that tells rows apart in both versions, and names at least one that both have."""
    if not before or not after:
        return ""
    first = after[0]
    columns = list(first) if isinstance(first, dict) else []
    ending = [name for name in columns if name.lower().endswith("_id") or name.endswith("Id")]
    for column in (*_IDS, *ending, *_NAMES):
        old, new = _keys(before, column), _keys(after, column)
        if column in columns and old and new and set(old) & set(new):
            return column
    return ""


def _keys(rows: Sequence[Json], column: str) -> dict[str, int]:
    """The number of the row that has each value of a column; nothing when it does not identify rows."""
    found = {}
    for number, row in enumerate(rows):
        value = row.get(column) if isinstance(row, dict) else None
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            return {}
        found[str(value)] = number
    return found if len(found) == len(rows) else {}


def _by_key(before: Sequence[Json], after: Sequence[Json], column: str) -> tuple[dict[int, int], list[int]]:
    """Which row was which, and where the rows that both have stood before."""
    old, new = _keys(before, column), _keys(after, column)
    pairs = {number: old[key] for key, number in new.items() if key in old}
    return pairs, list(pairs.values())


def _by_content(before: Sequence[Json], after: Sequence[Json]) -> tuple[dict[int, int], list[int]]:
    places: dict[str, list[int]] = {}
    for number in range(len(before) - 1, -1, -1):
        places.setdefault(canonical(before[number]), []).append(number)
    pairs = {}
    for number, row in enumerate(after):
        if places.get(text := canonical(row)):
            pairs[number] = places[text].pop()
    common = list(pairs.values())
    taken = set(common)
    gone = [number for number in range(len(before)) if number not in taken]
    come = [number for number in range(len(after)) if number not in pairs]
    if len(gone) * len(come) <= _MOST_PAIRS:
        pairs |= _similar(before, after, gone, come)
    return pairs, common


def _similar(before: Sequence[Json], after: Sequence[Json], gone: Sequence[int], come: Sequence[int]) -> dict[int, int]:
    """For new rows, the old ones that they most likely were."""
    old = {number: _cells(before[number]) for number in gone}
    pairs: dict[int, int] = {}
    for number in come:
        cells = _cells(after[number])
        scored = [(_alike(cells, other), -abs(place - number), place) for place, other in old.items()]
        best = max(scored, default=(0.0, 0, 0))
        if best[0] >= 0.5:
            pairs[number] = best[2]
            del old[best[2]]
    return pairs


def _cells(row: Json) -> set[tuple[str, str]]:
    return {(key, canonical(value)) for key, value in row.items()} if isinstance(row, dict) else set()


def _alike(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> float:
    """The part of their values that two rows share."""
    return len(one & other) / max(len(one), len(other), 1)
