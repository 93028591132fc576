"""The command that fills a prompt with values."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitpack.cli.options import json_option, local_option, name_option, one_name, quiet_option, with_registry
from kitpack.cli.promptview import chosen_prompt
from kitpack.cli.render import heading, print_json, safe_text
from kitpack.cli.types import PROMPTS
from kitpack.errors import UsageError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.prompts.prompt import Prompt
    from kitpack.prompts.render import Spoken

__all__ = ["prompt_render_command", "values_for"]

_MAX_VALUES = 16 << 20


@click.command("render")
@click.argument("what", metavar="REF|DIR|FILE", type=PROMPTS)
@click.argument("name", metavar="[NAME]", required=False)
@name_option
@click.option("--var", "pairs", metavar="NAME=VALUE", multiple=True, help="A value; JSON unless the schema says text.")
@click.option("--vars", "file", metavar="FILE", help="Values from a JSON or YAML file; - is standard input.")
@local_option
@json_option
@quiet_option
@with_registry
def prompt_render_command(
    what: str,
    name: str | None,
    *,
    prompt: str | None,
    pairs: tuple[str, ...],
    file: str | None,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Fill a prompt with values and print its messages, or with --json what chat APIs take.

    \b
      kitpack prompt render . triage --var customer_tier=gold --var ticket="Fire!"
      kitpack prompt render assistant:1.4.0 triage --vars values.yaml --json
    """
    from kitpack.promptplaces import find_prompts
    from kitpack.prompts.render import render

    found = chosen_prompt(find_prompts(what, local=local, settings=settings), what, one_name(name, prompt))
    spoken = render(found, values_for(found, pairs, file))
    if as_json:
        print_json(_request(found, spoken))
        return
    for number, one in enumerate(spoken):
        if not quiet:
            heading(one.role)
        elif number:
            click.echo()
        click.echo(safe_text(one.content))


def values_for(prompt: Prompt, pairs: Iterable[str], file: str | None) -> dict[str, Json]:
    """The values a user gives: those of a file, and over them single ones.

    Args:
        prompt: Whose schema says which are text.
        pairs: ``NAME=VALUE``, each.
        file: A JSON or YAML file, ``-`` for standard input, or None.

    Raises:
        UsageError: When one of them cannot be read.
    """
    values = _from_file(prompt, file) if file else {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} is not a value", hint="write --var NAME=VALUE")
        values[name] = _typed(name, text, prompt)
    return values


def _typed(name: str, text: str, prompt: Prompt) -> Json:
    """A value as the schema wants it: text as it is, anything else as JSON."""
    properties = prompt.variables.get("properties")
    schema = properties.get(name) if isinstance(properties, dict) else None
    if _is_text(schema if isinstance(schema, dict) else {}, text):
        return text
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text  # which the schema will refuse in better words
    return value


def _is_text(schema: Mapping[str, Json], text: str) -> bool:
    kind, among = schema.get("type"), schema.get("enum")
    if isinstance(among, list):
        return text in among
    return kind is None or kind == "string" or (isinstance(kind, list) and "string" in kind)


def _from_file(prompt: Prompt, file: str) -> dict[str, Json]:
    from kitpack.document.faults import Faults, Kind, decoded
    from kitpack.document.tree import to_json
    from kitpack.document.yamltext import read_yaml

    raw = sys.stdin.buffer.read(_MAX_VALUES + 1) if file == "-" else _read(Path(file))
    label = "standard input" if file == "-" else file
    kind = Kind(noun="a file of values", max_size=_MAX_VALUES)
    faults = Faults(label)
    text = decoded(raw, kind, faults)
    if text is not None and text.lstrip().startswith("{"):
        return _from_json(text, label)
    root = None if text is None else read_yaml(text, kind, faults)
    values = to_json(root, prompt.variables, {}, faults.add) if root else None
    if faults.issues:
        raise UsageError(str(faults.ordered()[0]), hint="give the values as JSON or YAML: a mapping of names")
    return _mapping(values, label)


def _from_json(text: str, label: str) -> dict[str, Json]:
    try:
        return _mapping(json.loads(text), label)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{label} is not JSON: {error}") from None


def _mapping(values: Json, label: str) -> JsonObject:
    if not isinstance(values, dict):
        raise UsageError(f"{label} holds no mapping of names to values", hint='write {"NAME": VALUE}')
    return values


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_VALUES + 1)


def _request(prompt: Prompt, spoken: Sequence[Spoken]) -> dict[str, object]:
    """What OpenAI-compatible APIs take: a model only when the prompt names exactly one."""
    exact = prompt.model if prompt.model != "bundle" and not set(prompt.model) & set("*?[") else ""
    return {
        **({"model": exact} if exact else {}),
        "messages": [{"role": one.role, "content": one.content} for one in spoken],
        **prompt.parameters,
        **({"tools": prompt.tools} if prompt.tools else {}),
    }
