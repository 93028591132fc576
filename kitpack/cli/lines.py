"""How texts, comparisons and values look on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import click

from kitpack.cli.render import one_line, safe_text

if TYPE_CHECKING:
    from kitpack.artifact.dialects import Layer
    from kitpack.oci.jsontext import Json
    from kitpack.prompts.textdiff import LineChange
    from kitpack.prompts.valuediff import ValueChange

__all__ = ["print_facts", "print_indented", "print_lines", "print_values", "shown_path", "shown_value"]

_LINES = {"added": ("+", "green"), "removed": ("-", "red"), "same": (" ", None), "gap": ("@", "cyan")}
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", None)}
_LONGEST_VALUE = 120


def print_indented(text: str, indent: int = 2) -> None:
    """Print a text of somebody else, set in from the margin."""
    for line in safe_text(text).splitlines():
        click.echo(f"{' ' * indent}{line}" if line else "")


def print_lines(lines: Iterable[LineChange], indent: int = 2) -> None:
    """Print a comparison, the words that changed inside of lines in reverse."""
    for line in lines:
        sign, colour = _LINES[line.kind]
        click.echo(click.style(f"{' ' * indent}{sign} ", fg=colour) + "".join(_painted(line, colour)))


def print_facts(facts: Sequence[tuple[str, str]], indent: int = 2) -> None:
    """Print names and what is known about them, in two columns; further lines stand under the first."""
    width = max((len(name) for name, _ in facts), default=0)
    for name, text in facts:
        first, *others = safe_text(text).split("\n")
        click.echo(f"{' ' * indent}{click.style(one_line(name).ljust(width), dim=True)}  {first}".rstrip())
        for line in others:
            click.echo(f"{' ' * (indent + width + 2)}{line}".rstrip())


def print_values(changes: Iterable[ValueChange], indent: int = 2) -> None:
    """Print values that differ; long texts line by line."""
    from kitpack.prompts.textdiff import diff_lines

    for change in changes:
        sign, colour = _SIGNS[change.kind]
        path = one_line(change.path or "all of it")
        if isinstance(change.before, str) and isinstance(change.after, str) and _is_long(change.before, change.after):
            click.secho(f"{' ' * indent}{sign} {path}", fg=colour)
            texts = (f"{text}\n" for text in (change.before.rstrip("\n"), change.after.rstrip("\n")))
            print_lines((line for line in diff_lines(*texts) if line.kind != "gap"), indent + 2)
            continue
        sides = [shown_value(one) for one in (change.before, change.after)]
        text = {"added": sides[1], "removed": sides[0]}.get(change.kind, " → ".join(sides))
        click.secho(f"{' ' * indent}{sign} {path}: {text}", fg=colour)


def shown_value(value: Json, longest: int = _LONGEST_VALUE) -> str:
    """A value on one line, cut off where it gets too long to read."""
    plain = isinstance(value, str) and value.isprintable() and bool(value.strip()) and value == value.strip()
    text = str(value) if plain else json.dumps(value, ensure_ascii=False)
    return one_line(text if len(text) <= longest else f"{text[: longest - 1]}…")


def shown_path(layer: Layer) -> str:
    """The path of a layer; of an archive, whether it is a file or a folder: what has an ending is a file."""
    if not layer.archived:
        return layer.path
    is_file = PurePosixPath(layer.path).suffix[1:2].isalpha()
    return f"{layer.path}{'' if is_file else '/'} (tar)"


def _painted(line: LineChange, colour: str | None) -> Iterator[str]:
    """The text of a line in pieces, those that changed in reverse."""
    position = 0
    for start, end in line.spans:
        yield click.style(safe_text(line.text[position:start]), fg=colour)
        yield click.style(safe_text(line.text[start:end]), fg=colour, reverse=True)
        position = end
    yield click.style(safe_text(line.text[position:]), fg=colour) if line.text[position:] else ""


def _is_long(before: str, after: str) -> bool:
    return "\n" in before + after or len(before) + len(after) > _LONGEST_VALUE // 2
