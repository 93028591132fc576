"""Commands that judge prompts: lint, tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from kitpack.cli.findings import chosen, format_option, previous_prompts, report
from kitpack.cli.options import against_option, json_option, local_option, quiet_option, with_registry
from kitpack.cli.render import count, print_json, print_table, say, show_issues
from kitpack.cli.types import FOLDER_OR_REFERENCE, PROMPTS
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.artifact.inspecting.promptset import PromptSet
    from kitpack.prompts.tokens import Count

__all__ = ["prompt_lint_command", "prompt_tokens_command"]

_names = click.argument("names", metavar="[NAME]...", nargs=-1)
_names_option = click.option("--prompt", "more", metavar="NAME", multiple=True, help="The same as NAME.")


@click.command("lint")
@click.argument("what", metavar="[REF|DIR|FILE]", default=".", type=PROMPTS)
@_names
@_names_option
@against_option
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@format_option
@local_option
@json_option
@quiet_option
@with_registry
def prompt_lint_command(
    what: str,
    names: tuple[str, ...],
    *,
    more: tuple[str, ...],
    against: str | None,
    strict: bool,
    shape: str | None,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Find what is wrong with prompts: variables, injection, secrets, contradictions, budgets, history.

    Each finding names its rule, and how to silence it on its line. Ends with 3 when there are errors; warnings alone
    end with 0, unless --strict.

    \b
      kitpack prompt lint samples/support-bot
      kitpack prompt lint samples/support-bot --against assistant:1.3.0 --strict
      kitpack prompt lint prompts/ --format github
    """
    from kitpack.promptplaces import find_prompts

    prompts = _narrowed(find_prompts(what, local=local, settings=settings), (*names, *more))
    findings = prompts.lint(previous_prompts(against, local=local, settings=settings))
    nothing = f"{what}: {count(len(prompts.found), 'prompt')}, nothing found"
    report(findings, chosen(shape, as_json=as_json), nothing=nothing, strict=strict, quiet=quiet)


@click.command("tokens")
@click.argument("what", metavar="[REF|DIR|FILE]", default=".", type=PROMPTS)
@_names
@_names_option
@click.option("--against", metavar="REF|DIR", type=FOLDER_OR_REFERENCE, help="Compare with this version.")
@click.option(
    "--limit",
    metavar="PERCENT",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Warn about prompts that grew by more than this.",
)
@click.option("--strict", is_flag=True, help="End with 3 when one did.")
@local_option
@json_option
@quiet_option
@with_registry
def prompt_tokens_command(
    what: str,
    names: tuple[str, ...],
    *,
    more: tuple[str, ...],
    against: str | None,
    limit: float,
    strict: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Count the tokens of prompts with the bundle's own tokenizer, or estimate them and say so.

    \b
      kitpack prompt tokens samples/support-bot
      kitpack prompt tokens . --against assistant:1.3.0 --limit 5 --strict
    """
    from kitpack.promptplaces import find_prompts

    prompts = _narrowed(find_prompts(what, local=local, fetch=True, settings=settings), (*names, *more))
    before = previous_prompts(against, local=local, settings=settings)
    earlier = {one.name: prompts.count(one) for one in before}
    rows = [_Row(one.name, one.path, prompts.count(one), earlier.get(one.name)) for one in prompts.found]
    grown = [row for row in rows if (row.change or 0) > limit]
    if as_json:
        print_json({"ok": not (grown and strict), "prompts": [row.to_json(limit) for row in rows]})
    else:
        _print_rows(rows, compared=against is not None)
    show_issues(prompts.faults, err=True)
    for row in grown:
        say(f"warning: {row.name} grew by {row.change:.0f} %, more than {limit:g} %", quiet=as_json or quiet)
    if strict and grown:
        raise click.exceptions.Exit(3)


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    path: str
    now: Count
    before: Count | None

    @property
    def change(self) -> float | None:
        """By how many percent it grew; None when it is new, or was empty."""
        if self.before is None or not self.before.tokens:
            return None
        return (self.now.tokens - self.before.tokens) / self.before.tokens * 100

    def to_json(self, limit: float) -> dict[str, object]:
        return {
            "name": self.name,
            "path": self.path,
            "tokens": self.now.tokens,
            "exact": self.now.exact,
            "by": self.now.by,
            "before": self.before.tokens if self.before else None,
            "changePercent": None if self.change is None else round(self.change, 2),
            "grownTooMuch": (self.change or 0) > limit,
        }


def _print_rows(rows: list[_Row], *, compared: bool) -> None:
    if not compared:
        table = [(row.name, str(row.now), row.now.by) for row in rows]
        print_table(table, header=("PROMPT", "TOKENS", "COUNTED BY"), right=frozenset({1}))
        return
    changes = ["new" if row.before is None else f"{row.change or 0:+.1f} %" for row in rows]
    cells = [
        (row.name, str(row.before or ""), str(row.now), change, row.now.by)
        for row, change in zip(rows, changes, strict=True)
    ]
    header = ("PROMPT", "BEFORE", "TOKENS", "CHANGE", "COUNTED BY")
    print_table(cells, header=header, right=frozenset({1, 2, 3}))


def _narrowed(prompts: PromptSet, names: tuple[str, ...]) -> PromptSet:
    """The prompts the user names, or all of them.

    Raises:
        NotFoundError: When there is none of that name.
        PromptError: When it has faults.
    """
    if not names:
        return prompts
    chosen = [prompts.prompt(name) for name in names]
    return replace(prompts, found=tuple(dict.fromkeys(chosen)), faults=())
