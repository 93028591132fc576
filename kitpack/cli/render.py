"""How values look on a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from kitpack.artifact.paths import printable

__all__ = ["heading", "human_size", "print_json", "print_table", "safe_text"]

_UNITS = ("B", "kB", "MB", "GB", "TB")


def print_json(value: Mapping[str, object] | Sequence[object]) -> None:
    """Print JSON, indented, in the characters people write in."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def human_size(size: int) -> str:
    """A number of bytes in three digits and a unit of a thousand, as registries and disks are sold."""
    amount = float(size)
    for unit in _UNITS:
        if amount < 999.5 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"


def heading(text: str) -> None:
    """Print a heading."""
    click.echo()
    click.secho(text, bold=True)


def print_table(
    rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), right: frozenset[int] = frozenset()
) -> None:
    """Print columns that line up, the last one as long as it is.

    Args:
        rows: The cells, made safe to print.
        header: A first row, in faint letters.
        right: The columns whose cells end in line.
    """
    cells = [[safe_text(cell) for cell in row] for row in ([header, *rows] if header else rows)]
    if not cells:
        return
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for number, row in enumerate(cells):
        columns = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(columns).rstrip()
        click.echo(click.style(line, dim=True) if header and not number else line)


def safe_text(text: str) -> str:
    """Text from a bundle that cannot take over the terminal; line breaks and tabs stay."""
    return printable(text, keep="\n\t")
