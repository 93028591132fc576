"""What lets a folder be packed: prompts without errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from kitpack.errors import PromptError

if TYPE_CHECKING:
    from kitpack.kitfile.model import Kitfile
    from kitpack.prompts.lint.findings import Finding
    from kitpack.prompts.prompt import Prompt

__all__ = ["Gate", "OnFinding", "ignore_finding", "lint_gate", "open_gate"]

Gate: TypeAlias = "Callable[[Path, Kitfile], None]"
"""Raises an error when a folder is not fit to be packed, as its Kitfile asks."""

OnFinding: TypeAlias = "Callable[[Finding], None]"
"""Told what was found that does not keep a folder from being packed."""


def ignore_finding(finding: Finding) -> None:
    """Keep it to oneself."""


def open_gate(folder: Path, declared: Kitfile) -> None:
    """Let everything pass."""


def lint_gate(previous: Iterable[Prompt] = (), on_finding: OnFinding = ignore_finding) -> Gate:
    """What lets folders pass whose prompts have no errors.

    Args:
        previous: The prompts of the version before, where they are known: what was changed since needs a changelog.
        on_finding: Told what is no error.

    Returns:
        A gate that raises PromptError with every error.
    """
    before = tuple(previous)

    def gate(folder: Path, declared: Kitfile) -> None:
        from kitpack.artifact.inspecting.promptset import of_folder

        findings = of_folder(folder, declared).lint(before)
        if errors := [one for one in findings if one.severity == "error"]:
            refusal = PromptError([one.issue for one in errors])
            refusal.hint = "correct them, or pack the prompts as they are with --no-lint"
            raise refusal
        for one in findings:
            on_finding(one)

    return gate
