"""What changed inside a file of a bundle, by what the file is for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from kitpack.artifact.inspecting.rowdiff import RowsDiff, diff_rows
from kitpack.artifact.inspecting.values import read_rows, read_value
from kitpack.prompts.textdiff import LineChange, diff_lines
from kitpack.prompts.valuediff import ValueChange, diff_values

__all__ = ["ConfigChange", "DatasetChange", "TextChange", "diff_config", "diff_dataset", "diff_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """Settings that differ.

    Attributes:
        path: Their file.
        by_meaning: Whether they could be read as values on both sides; then nothing but these counts.
        values: The settings that differ.
        lines: The file, line by line; empty when it is too large or no text.
    """

    path: str
    by_meaning: bool
    values: tuple[ValueChange, ...]
    lines: tuple[LineChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetChange:
    """A dataset that differs.

    Attributes:
        path: Its file.
        size_before: Its bytes before.
        size_after: Its bytes now.
        rows: Its rows; None when it is too large to be read here, or holds no rows that kitpack can read.
        lines: The file, line by line, when it holds no rows and is a text.
    """

    path: str
    size_before: int
    size_after: int
    rows: RowsDiff | None
    lines: tuple[LineChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChange:
    """Code or a document that differs.

    Attributes:
        path: Its file.
        role: Its role.
        lines: The file, line by line; empty when it is too large or no text.
    """

    path: str
    role: str
    lines: tuple[LineChange, ...]


def diff_config(path: str, before: bytes | None, after: bytes | None) -> ConfigChange:
    """Compare two versions of a file of settings; None is one that is too large."""
    values, by_meaning = list[ValueChange](), False
    if before is not None and after is not None:
        with suppress(ValueError):  # not settings after all, or with faults: compared as text
            values, by_meaning = diff_values(read_value(path, before), read_value(path, after)), True
    return ConfigChange(path=path, by_meaning=by_meaning, values=tuple(values), lines=_lines(before, after))


def diff_dataset(path: str, before: bytes | None, after: bytes | None, sizes: tuple[int, int]) -> DatasetChange:
    """Compare two versions of a dataset; None is one that is too large."""
    rows = None
    if before is not None and after is not None:
        with suppress(ValueError):  # no rows, or with faults: compared as text
            rows = diff_rows(read_rows(path, before), read_rows(path, after))
    lines = () if rows else _lines(before, after)
    return DatasetChange(path=path, size_before=sizes[0], size_after=sizes[1], rows=rows, lines=lines)


def diff_text(path: str, role: str, before: bytes | None, after: bytes | None) -> TextChange:
    """Compare two versions of code or a document; None is one that is too large."""
    return TextChange(path=path, role=role, lines=_lines(before, after))


def _lines(before: bytes | None, after: bytes | None) -> tuple[LineChange, ...]:
    try:
        texts = [side.decode() for side in (before, after) if side is not None and b"\0" not in side]
    except UnicodeDecodeError:
        return ()
    return tuple(diff_lines(*texts)) if len(texts) == 2 else ()
