"""Prompts as people write them, linted."""

from __future__ import annotations

from collections.abc import Mapping

from kitpack.errors import NotFoundError
from kitpack.prompts.lint.findings import Around, Finding
from kitpack.prompts.lint.lint import lint_prompt
from kitpack.prompts.parse import parse_prompt
from kitpack.prompts.prompt import Prompt

__all__ = ["found", "lint", "prompt_of", "rules_of"]


def prompt_of(text: str, path: str = "prompts/triage.md", files: Mapping[str, str] | None = None) -> Prompt:
    """The prompt a file holds; ``files`` are what it may include."""

    def read(name: str) -> bytes:
        if name not in (files or {}):
            raise NotFoundError(f"there is no {name}")
        return (files or {})[name].encode()

    return parse_prompt(text.encode("utf-8", "surrogatepass"), path, read=read)


def lint(text: str, path: str = "prompts/triage.md", **around: object) -> list[Finding]:
    """What lint finds in a file."""
    return lint_prompt(prompt_of(text, path), Around(**around))  # type: ignore[arg-type]


def rules_of(text: str, path: str = "prompts/triage.md", **around: object) -> list[str]:
    """The rules that find something in a file, without their prefix, hints included."""
    return [finding.rule.removeprefix("prompt-") for finding in lint(text, path, **around)]


def found(text: str, rule: str, path: str = "prompts/triage.md", **around: object) -> Finding:
    """The one thing that a rule finds in a file."""
    (one,) = [finding for finding in lint(text, path, **around) if finding.rule == rule]
    return one
