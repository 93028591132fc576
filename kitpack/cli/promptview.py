"""Commands that show prompts: list, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kitpack.cli.options import json_option, local_option, name_option, one_name, quiet_option, with_registry
from kitpack.cli.render import heading, one_line, print_json, print_table, safe_text, say, show_issues
from kitpack.cli.types import PROMPTS
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.artifact.inspecting.promptset import PromptSet
    from kitpack.prompts.prompt import Prompt

__all__ = ["chosen_prompt", "prompt_list_command", "prompt_show_command"]


@click.command("list")
@click.argument("what", metavar="[REF|DIR|FILE]", default=".", type=PROMPTS)
@local_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print the names only.")
@with_registry
def prompt_list_command(what: str, *, local: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """List prompts: their names, files, variables and models.

    \b
      kitpack prompt list samples/support-bot
      kitpack prompt list localhost:5000/team/assistant:1.4.0
    """
    from kitpack.artifact.inspecting.described import variables_of
    from kitpack.promptplaces import find_prompts

    prompts = find_prompts(what, local=local, settings=settings)
    if as_json:
        print_json([{key: value for key, value in _json(one).items() if key != "messages"} for one in prompts.found])
    elif quiet:
        for prompt in prompts.found:
            click.echo(one_line(prompt.name))
    else:
        rows = [
            (one.name, one.path, one.format, ", ".join(variable.name for variable in variables_of(one)), one.model)
            for one in prompts.found
        ]
        print_table(rows, header=("NAME", "FILE", "FORMAT", "VARIABLES", "MODEL"))
    if not prompts.found and not prompts.faults:
        say(f"{what} has no prompts", quiet=as_json or quiet)
    show_issues(prompts.faults, err=True)


@click.command("show")
@click.argument("what", metavar="REF|DIR|FILE", type=PROMPTS)
@click.argument("name", metavar="[NAME]", required=False)
@name_option
@local_option
@json_option
@quiet_option
@with_registry
def prompt_show_command(
    what: str, name: str | None, *, prompt: str | None, local: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Show one prompt: what it says, its variables, what it is tuned for.

    \b
      kitpack prompt show samples/support-bot triage
      kitpack prompt show localhost:5000/team/assistant:1.4.0 triage --json
    """
    from kitpack.promptplaces import find_prompts

    prompts = find_prompts(what, local=local, settings=settings)
    found = chosen_prompt(prompts, what, one_name(name, prompt))
    if as_json:
        print_json(_json(found))
        return
    if not quiet:
        _print_facts(found)
    for message in found.messages:
        heading(message.role)
        _print_indented(message.template)


def chosen_prompt(prompts: PromptSet, what: str, name: str) -> Prompt:
    """The prompt the user means: by its name, or the only one.

    Raises:
        UsageError: When there are several and none is named.
        NotFoundError: When there is none of that name.
        PromptError: When it has faults.
    """
    from kitpack.errors import PromptError, UsageError

    if name:
        return prompts.prompt(name)
    if prompts.faults and not prompts.found:
        raise PromptError(prompts.faults)
    if len(prompts.found) != 1:
        names = ", ".join(one.name for one in prompts.found) or "none at all"
        raise UsageError(f"say which prompt of {what} is meant: there is {names}", hint="name it after the place")
    return prompts.found[0]


def _print_facts(prompt: Prompt) -> None:
    from kitpack.artifact.inspecting.described import variables_of

    facts = [
        ("Name", prompt.name),
        ("File", prompt.path),
        ("Format", prompt.format),
        ("Digest", str(prompt.digest)),
        ("Description", prompt.description),
        ("Version", prompt.version),
        ("Model", prompt.model),
        ("Parameters", ", ".join(f"{key} {value}" for key, value in prompt.parameters.items())),
        ("Changelog", prompt.changelog),
        ("Includes", ", ".join(sorted(prompt.includes))),
    ]
    print_table([row for row in facts if row[1]])
    if variables := [*variables_of(prompt)]:
        heading("Variables")
        print_table([(one.name, one.type, ", ".join([*["required"] * one.required, *one.notes])) for one in variables])


def _json(prompt: Prompt) -> dict[str, object]:
    from kitpack.prompts.fingerprint import fingerprint

    return {
        "name": prompt.name,
        "path": prompt.path,
        "format": prompt.format,
        "digest": str(prompt.digest),
        "fingerprint": str(fingerprint(prompt)),
        "description": prompt.description,
        "version": prompt.version,
        "changelog": prompt.changelog,
        "model": prompt.model,
        "parameters": prompt.parameters,
        "variables": prompt.variables,
        "output": prompt.output,
        "tools": prompt.tools,
        "untrusted": sorted(prompt.untrusted),
        "sensitive": sorted(prompt.sensitive),
        "mustContain": [*prompt.must_contain],
        "filters": dict(prompt.filters),
        "includes": {path: str(one.digest) for path, one in sorted(prompt.includes.items())},
        "metadata": prompt.metadata,
        "messages": [{"role": one.role, "template": one.template, "line": one.line} for one in prompt.messages],
    }


def _print_indented(text: str) -> None:
    for line in safe_text(text).splitlines():
        click.echo(f"  {line}" if line else "")
