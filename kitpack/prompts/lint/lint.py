"""Every rule held against prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from kitpack.errors import Issue
from kitpack.prompts.lint.changelog import breaking_changes, changelog_missing
from kitpack.prompts.lint.constructs import empty_messages, plain_braces, unreachable
from kitpack.prompts.lint.findings import Around, Finding, Found, Theme
from kitpack.prompts.lint.model import context_window, model_target, parameters, token_growth
from kitpack.prompts.lint.personal import personal_data
from kitpack.prompts.lint.promises import promises_dropped, promises_kept
from kitpack.prompts.lint.rules import RULES
from kitpack.prompts.lint.safety import hidden_characters, looks_untrusted, untrusted_in_system
from kitpack.prompts.lint.secrets import secrets
from kitpack.prompts.lint.silence import apply, comment_for, silences_of
from kitpack.prompts.lint.variables import schemas, undeclared_variables, unused_variables
from kitpack.prompts.lint.where import head_line
from kitpack.prompts.lint.wording import format_conflicts, length_conflicts
from kitpack.prompts.prompt import Prompt

__all__ = ["THEMES", "fault_finding", "lint_all", "lint_prompt"]

_MOST = 100
"""Findings of one theme in one prompt after which looking for more helps nobody."""

THEMES: tuple[Theme, ...] = (
    undeclared_variables,
    unused_variables,
    schemas,
    untrusted_in_system,
    looks_untrusted,
    secrets,
    personal_data,
    hidden_characters,
    model_target,
    parameters,
    context_window,
    token_growth,
    length_conflicts,
    format_conflicts,
    empty_messages,
    plain_braces,
    unreachable,
    promises_kept,
    promises_dropped,
    changelog_missing,
    breaking_changes,
)


def lint_prompt(prompt: Prompt, around: Around | None = None) -> list[Finding]:
    """Find what somebody should look at in one prompt.

    Args:
        prompt: The prompt.
        around: What else is known.

    Returns:
        The findings in the order of their places; what is silenced is left out, silences in vain are findings.
    """
    return _examined(prompt, around or Around(), ())


def lint_all(prompts: Iterable[Prompt], around: Callable[[Prompt], Around] | None = None) -> list[Finding]:
    """Find what somebody should look at in the prompts of a bundle, each by itself and all of them together.

    Args:
        prompts: The prompts.
        around: Tells what else is known about one of them.

    Returns:
        The findings, prompt by prompt.
    """
    first: dict[str, Prompt] = {}
    found: list[Finding] = []
    for prompt in prompts:
        twin = first.setdefault(prompt.name, prompt)
        twice = () if twin is prompt else (_duplicate(prompt, twin),)
        found += _examined(prompt, around(prompt) if around else Around(), twice)
    return found


def fault_finding(issue: Issue) -> Finding:
    """A fault that kept a prompt from being parsed, as a finding."""
    rule = RULES["prompt-syntax"]
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        path=issue.path,
        line=issue.line,
        column=issue.column,
        message=issue.message,
        why=rule.why,
        hint=issue.hint or rule.fix,
    )


def _examined(prompt: Prompt, around: Around, more: Iterable[Found]) -> list[Finding]:
    found = [*more, *(one for theme in THEMES for one in islice(theme(prompt, around), _MOST))]
    told = [_finding(prompt, around, one) for one in apply(found, silences_of(prompt))]
    return sorted(told, key=lambda one: (one.path, one.line, one.column, one.rule))


def _duplicate(prompt: Prompt, twin: Prompt) -> Found:
    line = prompt.lines.get("name") or head_line(prompt)
    message = f"the prompt is called {prompt.name}, as {twin.path} is"
    return Found(rule="prompt-duplicate-name", message=message, line=line)


def _finding(prompt: Prompt, around: Around, found: Found) -> Finding:
    rule, path = RULES[found.rule], around.path or prompt.path
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        path=f"{path.removesuffix(prompt.path)}{found.path}" if found.path else path,
        line=found.line,
        column=found.column,
        message=found.message,
        why=rule.why,
        hint=found.hint or rule.fix,
        silence="" if found.path else comment_for(prompt, rule.id, found.line),
    )
