"""Findings for people, for scripts, for code scanning (SARIF), and for GitHub's annotations.

Nothing is switched on by where it runs: the format is what ``--format`` says.

Spec: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast
from urllib.parse import quote

import click

from kitpack._version import __version__
from kitpack.cli.render import count, one_line, print_json, say
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.prompts.lint.findings import Finding
    from kitpack.prompts.lint.rules import Rule
    from kitpack.prompts.prompt import Prompt

__all__ = [
    "FORMATS",
    "Shape",
    "chosen",
    "findings_json",
    "format_option",
    "github",
    "previous_prompts",
    "report",
    "sarif",
    "show_warnings",
]

Shape: TypeAlias = Literal["text", "json", "sarif", "github"]
FORMATS: tuple[Shape, ...] = ("text", "json", "sarif", "github")

R = TypeVar("R")

_LEVELS = {"error": "error", "warning": "warning", "hint": "note"}
_COMMANDS = {"error": "error", "warning": "warning", "hint": "notice"}
_COLOURS = {"error": "red", "warning": "yellow", "hint": "cyan"}


def format_option(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the choice of how findings are printed."""
    option = click.option(
        "--format",
        "shape",
        type=click.Choice(FORMATS),
        default=None,
        help="How to print findings: text, json, sarif for code scanning, github for annotations.",
    )
    return option(command)


def chosen(shape: str | None, *, as_json: bool) -> Shape:
    """The format: what ``--format`` says, else what ``--json`` says, else text."""
    return cast("Shape", shape) if shape else "json" if as_json else "text"


def previous_prompts(
    against: str | None, *, local: bool = False, settings: Settings | None = None
) -> tuple[Prompt, ...]:
    """The prompts of the version before, if the user names one.

    Raises:
        NotFoundError: When there is no such thing.
    """
    from kitpack.promptplaces import find_prompts

    return find_prompts(against, local=local, settings=settings).found if against else ()


def report(
    findings: Sequence[Finding], shape: Shape, *, nothing: str, strict: bool = False, quiet: bool = False
) -> None:
    """Print findings on standard output, and end with 3 when they do not pass.

    Args:
        findings: What was found.
        shape: How to print it.
        nothing: What to tell people when nothing was.
        strict: Whether warnings are errors.
        quiet: Whether not to tell them.
    """
    refused = {"error", "warning"} if strict else {"error"}
    ok = not any(one.severity in refused for one in findings)
    if shape == "json":
        print_json({"ok": ok, "issues": findings_json(findings)})
    elif shape == "sarif":
        print_json(sarif(findings))
    elif shape == "github":
        for finding in findings:
            click.echo(github(finding))
    else:
        _show(findings)
        say(_summary(findings) or nothing, quiet=quiet)
    if not ok:
        raise click.exceptions.Exit(3)


def show_warnings(findings: Sequence[Finding], *, quiet: bool = False) -> None:
    """Print on standard error what was found while something else was done; hints are left out."""
    if not quiet:
        _show([one for one in findings if one.severity != "hint"], aside=True)


def _show(findings: Sequence[Finding], *, aside: bool = False) -> None:
    """Print findings for people: what, and for the first of a kind why it matters; then how to silence it.

    Args:
        findings: What was found.
        aside: Whether something else is being said: then they go to standard error, a line each.
    """
    told = set[tuple[str, str]]()
    for finding in findings:
        place = ":".join([finding.path, *(str(number) for number in (finding.line, finding.column) if number)])
        severity = click.style(f"{finding.severity}:", fg=_COLOURS[finding.severity], bold=True)
        advice = f" ({finding.hint})" if finding.hint else ""
        rule = click.style(f" [{finding.rule}]", dim=True) if finding.why else ""
        click.echo(f"{one_line(place)}: {severity} {one_line(finding.message + advice)}{rule}", err=aside)
        if finding.why and not aside and (finding.rule, finding.silence) not in told:
            told.add((finding.rule, finding.silence))
            silence = f"; silence it there with {finding.silence}" if finding.silence else ""
            click.secho(f"    {one_line(finding.why)}{silence}", dim=True)


def findings_json(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """Findings as scripts read them."""
    return [
        {
            "path": one.path,
            "line": one.line,
            "column": one.column,
            "severity": one.severity,
            "rule": one.rule,
            "message": one.message,
            "why": one.why,
            "hint": one.hint,
            "silence": one.silence,
        }
        for one in findings
    ]


def sarif(findings: Sequence[Finding]) -> dict[str, object]:
    """Findings as a SARIF 2.1.0 log."""
    rules = _all_rules()
    numbers = {rule: number for number, rule in enumerate(rules)}
    driver = {"name": "kitpack", "version": __version__, "rules": [_rule(rule) for rule in rules.values()]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, numbers) for finding in findings],
            }
        ],
    }


def github(finding: Finding) -> str:
    """A finding as a workflow command of GitHub Actions, which shows it beside the line."""
    properties = {
        "file": finding.path,
        "line": str(finding.line or ""),
        "col": str(finding.column or ""),
        "title": finding.rule,
    }
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    advice = f" ({finding.hint})" if finding.hint else ""
    return f"::{_COMMANDS[finding.severity]} {written}::{_data(finding.message + advice)}"


def _summary(findings: Sequence[Finding]) -> str:
    """How many of each kind there are, in words."""
    kinds = [(severity, sum(one.severity == severity for one in findings)) for severity in _LEVELS]
    return ", ".join(count(number, severity) for severity, number in kinds if number)


def _all_rules() -> Mapping[str, Rule]:
    """The rules about prompts, and those about everything else, which explain themselves."""
    from kitpack.prompts.lint.rules import RULES, Rule

    others = {
        name: Rule(id=name, severity="error" if name != "interop" else "warning", what=what, why=why, fix=fix)
        for name, (what, why, fix) in _OTHERS.items()
    }
    return {**RULES, **others}


_OTHERS = {
    "kitfile": (
        "a fault of the Kitfile, or of the files it names",
        "the folder cannot be packed",
        "correct it as the message says",
    ),
    "bundle": (
        "something in a bundle that is missing or damaged",
        "the bundle cannot be unpacked",
        "pull or push it again",
    ),
    "interop": (
        "something that another tool reads differently",
        "whoever uses that tool gets less than was packed",
        "do as the message says",
    ),
}


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.what},
        "fullDescription": {"text": f"{rule.what}: {rule.why}"},
        "help": {"text": f"Why: {rule.why}. How to fix it: {rule.fix}."},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding, numbers: Mapping[str, int]) -> dict[str, object]:
    physical: dict[str, object] = {"artifactLocation": {"uri": _uri(finding.path)}}
    if finding.line:
        column = {"startColumn": finding.column} if finding.column else {}
        physical["region"] = {"startLine": finding.line, **column}
    advice = f" ({finding.hint})" if finding.hint else ""
    same = hashlib.sha256(f"{finding.rule} {finding.path} {finding.message}".encode("utf-8", "replace"))
    return {
        "ruleId": finding.rule,
        **({"ruleIndex": numbers[finding.rule]} if finding.rule in numbers else {}),
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message + advice},
        "locations": [{"physicalLocation": physical}],
        "partialFingerprints": {"kitpackFinding/v1": same.hexdigest()},
    }


def _uri(path: str) -> str:
    """A path as a URI reference: relative as it is typed, absolute as a file."""
    plain = PurePath(path).as_posix()
    quoted = quote(plain.encode("utf-8", "surrogateescape"), safe="/@+=,~$!'()*")
    return f"file://{quoted}" if plain.startswith("/") else quoted


def _data(text: str) -> str:
    """Text after the second pair of colons, as GitHub reads it."""
    return one_line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
