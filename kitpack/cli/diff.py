"""The command that compares: diff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from kitpack.cli.lines import print_lines, print_values, shown_path, shown_value
from kitpack.cli.options import json_option, local_option, with_registry
from kitpack.cli.progress import progress
from kitpack.cli.render import (
    camel_case,
    count,
    heading,
    human_size,
    one_line,
    print_json,
    print_table,
    say,
    show_issues,
)
from kitpack.cli.types import FOLDER_OR_REFERENCE, Words
from kitpack.errors import UsageError
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.artifact.bundle import Bundle
    from kitpack.artifact.inspecting.contentdiff import ConfigChange, DatasetChange, TextChange
    from kitpack.artifact.inspecting.diff import BundleDiff, FileChange
    from kitpack.artifact.inspecting.rowdiff import RowChange
    from kitpack.prompts.diff import MessageChange, PromptDiff, TokensChange
    from kitpack.prompts.variables import VariableChange

__all__ = ["diff_command"]

_SECTIONS = ("prompts", "configs", "datasets", "texts", "kitfile", "files")
_GROWTH = 10.0
"""Percent above which a prompt that grew is marked."""

_MOST_ROWS = 20
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}


@click.command("diff")
@click.argument("before", metavar="A", type=FOLDER_OR_REFERENCE)
@click.argument("after", metavar="B", type=FOLDER_OR_REFERENCE)
@click.option("--only", type=Words(_SECTIONS), metavar="WORDS", help=f"Only these: {', '.join(_SECTIONS)}.")
@click.option("--exit-code", is_flag=True, help="End with 1 when there are differences, as git does.")
@click.option(
    "--max-growth",
    metavar="PERCENT",
    type=click.FloatRange(min=0),
    help="End with 1 when a prompt has more tokens than before by more than that.",
)
@local_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; implies --exit-code.")
@with_registry
def diff_command(
    before: str,
    after: str,
    *,
    only: tuple[str, ...] | None,
    exit_code: bool,
    max_growth: float | None,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Compare two bundles by what they mean: prompts, settings, datasets, and which other files differ.

    A and B are references or folders; of a folder, what packing it would make is compared. Fetches kilobytes from a
    registry, never weights.

    \b
      kitpack diff assistant:1.3.0 assistant:1.4.0
      kitpack diff assistant:1.4.0 samples/support-bot --max-growth 10
    """
    from kitpack.artifact.inspecting.diff import diff_bundles
    from kitpack.views import look_at_both

    _check_sections(only or ())
    with progress("reading", quiet=quiet or as_json) as meter:
        sides = look_at_both(before, after, local=local, settings=settings, on_event=meter.reading)
    found = _narrowed(diff_bundles(*sides, jobs=settings.jobs), only or ())
    limit = _GROWTH if max_growth is None else max_growth
    if as_json:
        print_json(_as_json(found, (before, after), sides, limit))
    elif not quiet:
        _print_all(found, (before, after), sides, limit, only or ())
    too_long = found.grown(limit) if max_growth is not None else ()
    if too_long and not as_json:
        names = ", ".join(prompt.name for prompt in too_long)
        say(f"more than {limit:g} % longer than before: {names}", quiet=quiet)
    if too_long or ((exit_code or quiet) and not found.is_empty):
        raise click.exceptions.Exit(1)


def _check_sections(only: tuple[str, ...]) -> None:
    if unknown := [word for word in only if word not in _SECTIONS]:
        raise UsageError(f"there is nothing called {unknown[0]!r} to compare", hint=f"use {', '.join(_SECTIONS)}")


def _narrowed(found: BundleDiff, only: tuple[str, ...]) -> BundleDiff:
    """What the user wants to see of it."""
    left_out = {name: () for name in _SECTIONS if only and name not in only}
    return replace(found, **left_out)  # type: ignore[arg-type]  # all of them are tuples


def _as_json(
    found: BundleDiff, names: tuple[str, str], bundles: tuple[Bundle, Bundle], limit: float
) -> dict[str, object]:
    before, after = (
        {"reference": name, "digest": str(bundle.descriptor.digest)}
        for name, bundle in zip(names, bundles, strict=True)
    )
    return {
        "before": before,
        "after": after,
        "same": found.is_empty,
        "breaks": found.breaks,
        "maxGrowth": limit,
        "grown": [prompt.name for prompt in found.grown(limit)],
        **camel_case(found),
    }


def _print_all(
    found: BundleDiff, names: tuple[str, str], bundles: tuple[Bundle, Bundle], limit: float, only: tuple[str, ...]
) -> None:
    digests = [str(bundle.descriptor.digest) for bundle in bundles]
    show_issues(found.faults, err=True)
    if found.is_empty:
        say(_no_differences(names, digests, only))
        return
    print_table([("Before", names[0], digests[0]), ("After", names[1], digests[1])])
    for prompt in found.prompts:
        _print_prompt(prompt, limit)
    for config in found.configs:
        _print_config(config)
    for dataset in found.datasets:
        _print_dataset(dataset)
    for text in found.texts:
        _print_text(text)
    if found.kitfile:
        heading("Kitfile")
        print_lines(found.kitfile)
    if found.files:
        heading("Files")
        paths = {layer.path: shown_path(layer) for bundle in bundles for layer in bundle.layers}
        print_table([_file_row(change, paths) for change in found.files])
    click.echo()
    click.echo(f"{human_size(found.shared)} in common; weights {'differ' if found.weights_changed else 'are the same'}")


def _no_differences(names: Sequence[str], digests: Sequence[str], only: Sequence[str]) -> str:
    from kitpack.verbs import is_folder

    if only:
        return f"no differences in {', '.join(only)}"
    if digests[0] == digests[1] or any(map(is_folder, names)):
        return "no differences"
    return "the same files; only what the manifests say differs"


def _print_prompt(prompt: PromptDiff, limit: float) -> None:
    heading(_prompt_heading(prompt))
    if prompt.kind == "changed" and prompt.name != prompt.name_before:
        click.secho(f"  callers that ask for {one_line(prompt.name_before)} will not find it", fg="red", bold=True)
    if prompt.tokens:
        _print_tokens(prompt.tokens, limit if prompt.grew(limit) else None)
    for title, whom, changes in (("variables", "callers", prompt.variables), ("output", "readers", prompt.output)):
        if changes:
            click.secho(f"  {title}", bold=True)
            for change in changes:
                _print_variable(change, whom)
    print_values(prompt.settings)
    for message in prompt.messages:
        _print_message(message)
    for include in prompt.includes:
        click.secho(f"  includes {one_line(include.path)}: {include.kind}", bold=True)
        print_lines(include.lines)
    if not prompt.tokens or prompt.is_spelling:
        print_lines(prompt.lines)


def _prompt_heading(prompt: PromptDiff) -> str:
    if not prompt.name:
        return f"Prompt file {prompt.path}: {prompt.kind}"
    moved = []
    if prompt.kind == "changed" and prompt.name != prompt.name_before:
        moved.append(f"was called {prompt.name_before}")
    if prompt.kind == "changed" and prompt.path != prompt.path_before:
        moved.append(f"was {prompt.path_before}")
    spelling = ["only how it is written"] if prompt.is_spelling else []
    return f"Prompt {prompt.name}: {prompt.kind} ({', '.join([prompt.path, *moved, *spelling])})"


def _print_tokens(change: TokensChange, exceeded: float | None) -> None:
    sides = [str(one) for one in (change.before, change.after) if one]
    if len(set(sides)) == 1:
        sides = sides[:1]
    over = "" if exceeded is None else f", over {exceeded:g} %"
    percent = f" ({change.percent:+.1f} %{over})" if change.percent else ""
    click.secho(f"  {' → '.join(sides)} tokens{percent}", fg="yellow" if over else None, bold=bool(over))


def _print_variable(change: VariableChange, whom: str) -> None:
    sign, colour = _SIGNS.get(change.kind, ("~", None))
    broken = click.style(f" (breaks {whom})", fg="red", bold=True) if change.breaks else ""
    click.echo(click.style(f"    {sign} {one_line(change.text)}", fg=colour) + broken)


def _print_message(message: MessageChange) -> None:
    was = f" (was {message.role_before})" if message.kind == "changed" and message.role != message.role_before else ""
    kind = "" if message.kind == "changed" else f": {message.kind}"
    click.secho(f"  {one_line(message.role)} message{one_line(was)}{kind}", bold=True)
    print_lines(message.lines)


def _print_config(change: ConfigChange) -> None:
    heading(f"Config {change.path}")
    if change.by_meaning and change.values:
        print_values(change.values)
    elif change.by_meaning:
        click.echo("  only how it is written")
    else:
        _print_text_lines(change.lines)


def _print_dataset(change: DatasetChange) -> None:
    rows = change.rows
    if rows is None:
        heading(f"Dataset {change.path}: {human_size(change.size_before)} → {human_size(change.size_after)}")
        _print_text_lines(change.lines)
        return
    parts = [f"{number} {what}" for what in ("added", "removed", "changed") if (number := getattr(rows, what))]
    parts += ["in another order"] if rows.moved else []
    total = count(rows.rows_after, "row")
    total = total if rows.rows_before == rows.rows_after else f"{rows.rows_before} → {total}"
    heading(f"Dataset {change.path}: {total} ({', '.join(parts) or 'only how it is written'})")
    for row in rows.changes[:_MOST_ROWS]:
        _print_row(row, rows.column)
    if len(rows.changes) > _MOST_ROWS:
        click.echo(f"  … and {len(rows.changes) - _MOST_ROWS} more")


def _print_row(row: RowChange, column: str) -> None:
    sign, colour = _SIGNS.get(row.kind, ("~", None))
    name = f" ({column}: {shown_value(row.key, 60)})" if column else ""
    number = row.row_after or row.row_before
    if row.kind == "changed":
        click.echo(f"  {sign} row {number}{one_line(name)}")
        print_values(row.values, indent=6)
    else:
        value = shown_value(row.before if row.kind == "removed" else row.after)
        click.secho(f"  {sign} row {number}: {value}", fg=colour)


def _print_text(change: TextChange) -> None:
    heading(f"{change.role.capitalize()} {change.path}")
    _print_text_lines(change.lines)


def _print_text_lines(lines: tuple[object, ...]) -> None:
    if lines:
        print_lines(lines)  # type: ignore[arg-type]
    else:
        click.echo("  too large to compare, or no text")


def _file_row(change: FileChange, paths: Mapping[str, str]) -> tuple[str, str, str, str]:
    path = paths.get(change.path, change.path)
    shown = f"{change.path_before} → {path}" if change.path_before else path
    sizes = _sizes(change) + (", executable or not" if change.mode_changed else "")
    return change.kind, change.role, shown, sizes


def _sizes(change: FileChange) -> str:
    before, after = change.size_before, change.size_after
    if change.kind == "changed" and not (before == after and change.mode_changed):
        return f"{human_size(before)} → {human_size(after)}"
    return human_size(after or before)
