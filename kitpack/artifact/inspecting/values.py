"""What settings and datasets mean: files of the usual formats as plain values.

Everything that is not beyond doubt one value is refused with ``ValueError``, and is compared as text then: YAML that
refers to itself, a key that stands twice, a table whose rows have more cells than its head.
"""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import PurePosixPath
from typing import NoReturn

from kitpack.document.faults import Faults, Kind
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["read_rows", "read_value"]

_DEEPEST = 64


def read_value(path: str, raw: bytes) -> Json:
    """Read a file of settings: JSON, YAML or TOML, by its ending.

    Raises:
        ValueError: When it is none of these, or breaks their grammar.
    """
    reader = _VALUES.get(PurePosixPath(path).suffix.lower())
    if reader is None:
        raise ValueError("its ending names no format of settings")
    return _bounded(reader(raw.decode("utf-8-sig")))


def read_rows(path: str, raw: bytes) -> list[Json]:
    """Read a dataset: lines of JSON, a JSON or YAML list, or a table with a head, by its ending.

    An object with one single list in it, such as ``{"tests": […]}``, is that list.

    Raises:
        ValueError: When it is none of these, or breaks their grammar.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _TABLES:
        return list(_table(raw.decode("utf-8-sig"), _TABLES[suffix]))
    if suffix in (".jsonl", ".ndjson"):
        return [_bounded(_json(line)) for line in raw.decode("utf-8-sig").split("\n") if line.strip()]
    value = read_value(path, raw)
    lists = [one for one in value.values() if isinstance(one, list)] if isinstance(value, dict) else []
    if isinstance(value, dict) and len(value) == len(lists) == 1:
        value = lists[0]
    if not isinstance(value, list):
        raise ValueError("it is no list")
    return value


def _json(text: str) -> Json:
    try:
        value: Json = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _unique_keys(pairs: list[tuple[str, Json]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if isfinite(number) else _refuse(digits[:40])


def _yaml(text: str) -> Json:
    from kitpack.document.tree import to_json  # late: YAML is slow to load
    from kitpack.document.yamltext import read_yaml

    faults = Faults(name="")
    root = read_yaml(text, Kind(noun="a file of settings", max_size=len(text) * 4), faults)
    value = to_json(root, {}, {}, faults.add) if root is not None else None
    if faults.issues:
        raise ValueError(faults.issues[0].message)
    return value


def _toml(text: str) -> Json:
    try:
        return _as_json(tomllib.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _as_json(value: object) -> Json:
    """A value of TOML, whose times and whose numbers without end have no place in JSON."""
    if isinstance(value, dict):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return value if isinstance(value, str | int) else str(value)


def _table(text: str, delimiter: str) -> Iterator[Json]:
    """The rows of a table, each cell under the name that stands in the head."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        head = next(rows, [])
        if len(set(head)) < len(head):
            raise ValueError("two columns have one name")
        for row in rows:
            if len(row) not in (0, len(head)):
                raise ValueError("a row has other columns than the head")
            if row:
                yield dict(zip(head, row, strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _bounded(value: Json) -> Json:
    """The value, unless it is nested too deeply to be compared."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            one
            for parent in level
            if isinstance(parent, dict | list)
            for one in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


_VALUES: dict[str, Callable[[str], Json]] = {".json": _json, ".yaml": _yaml, ".yml": _yaml, ".toml": _toml}
_TABLES = {".csv": ",", ".tsv": "\t"}
