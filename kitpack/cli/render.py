"""How values look on a terminal, and as JSON.

Results go to standard output, everything else to standard error: ``--quiet`` and a pipe change nothing about a result.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from kitpack.artifact.paths import printable
from kitpack.errors import Issue, KitfileError, KitpackError, PromptError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "camel_case",
    "count",
    "heading",
    "human_size",
    "one_line",
    "print_json",
    "print_table",
    "safe_text",
    "say",
    "show_error",
    "show_issues",
]

_UNITS = ("B", "kB", "MB", "GB", "TB")
_SHORT_DIGEST = len("sha256:") + 12
_RAW_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def print_json(value: Mapping[str, object] | Sequence[object]) -> None:
    """Print JSON, indented, in the characters people write in; those that could take over a terminal are escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)  # which escapes no more than the first 32 by itself
    click.echo(_RAW_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def camel_case(value: DataclassInstance) -> dict[str, object]:
    """A value as JSON names it: ``kept_bytes`` is ``keptBytes``, as in the manifests of the field."""
    return asdict(value, dict_factory=lambda members: {_camel(name): member for name, member in members})


def say(text: str, *, quiet: bool = False) -> None:
    """Tell the person in front of the terminal something that is not a result."""
    if not quiet:
        click.echo(one_line(text), err=True)


def show_error(error: KitpackError, *, as_json: bool) -> None:
    """Show what was wrong, what was expected, and what to do next."""
    issues = error.issues if isinstance(error, KitfileError | PromptError) else ()
    if as_json:
        value = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        print_json({"error": {**value, "issues": [camel_case(issue) for issue in issues]}})
        return
    show_issues(issues, err=True)
    click.echo(click.style("error: ", fg="red", bold=True) + one_line(error.message), err=True)
    if error.hint:
        click.echo(click.style("hint:  ", fg="cyan") + one_line(error.hint), err=True)


def show_issues(issues: Iterable[Issue], *, err: bool = False) -> None:
    """Print faults, a line each, as compilers do."""
    for issue in issues:
        place = ":".join([issue.path, *(str(number) for number in (issue.line, issue.column) if number)])
        colour = "red" if issue.severity == "error" else "yellow"
        severity = click.style(f"{issue.severity}:", fg=colour, bold=True)
        advice = f" ({issue.hint})" if issue.hint else ""
        click.echo(f"{one_line(place)}: {severity} {one_line(issue.message + advice)}", err=err)


def human_size(size: int) -> str:
    """A number of bytes in three digits and a unit of a thousand, as registries and disks are sold."""
    amount = float(size)
    for unit in _UNITS:
        if amount < 999.5 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"


def count(number: int, thing: str) -> str:
    """So many of a thing: ``1 layer``, ``2 layers``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def heading(text: str) -> None:
    """Print a heading."""
    click.echo()
    click.secho(one_line(text), bold=True)


def print_table(
    rows: Sequence[Sequence[str]],
    *,
    header: Sequence[str] = (),
    right: frozenset[int] = frozenset(),
    below: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Print columns that line up, the last one as long as it is.

    On a terminal that is too narrow for whole digests in the last column, they are shortened; never in a pipe.

    Args:
        rows: The cells, made safe to print.
        header: A first row, in faint letters.
        right: The columns whose cells end in line.
        below: Further lines under some rows, by the number of the row, set in and in faint letters.
    """
    cells = [[one_line(cell) for cell in row] for row in ([header, *rows] if header else rows)]
    if not cells:
        return
    widths = [max(_width(row[column]) for row in cells) for column in range(len(cells[0]))]
    if sys.stdout.isatty() and sum(widths) + 2 * len(widths) - 2 > _columns():
        cells = [[*row[:-1], _short(row[-1])] for row in cells]
    for number, row in enumerate(cells):
        columns = [
            _filler(cell, width) + cell if column in right else cell + _filler(cell, width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(columns).rstrip()
        click.echo(click.style(line, dim=True) if header and not number else line)
        for more in below.get(number - bool(header), ()):
            click.secho(f"    {one_line(more)}", dim=True)


def safe_text(text: str) -> str:
    """The text of a prompt or a Kitfile, which cannot take over the terminal; line breaks and tabs stay."""
    return printable(text, keep="\n\t")


def one_line(text: str) -> str:
    """A name, or a sentence with names in it, which can neither take over the terminal nor forge a line of its own."""
    return printable(text)


def _columns() -> int:
    import shutil  # late: it brings every compression there is

    return shutil.get_terminal_size().columns


def _short(cell: str) -> str:
    return cell[:_SHORT_DIGEST] if cell.startswith("sha256:") else cell


def _filler(cell: str, width: int) -> str:
    return " " * (width - _width(cell))


def _width(text: str) -> int:
    """The columns a terminal needs: East Asian letters take two, marks above other letters none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
