"""What lint may know, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from kitpack.errors import Issue

if TYPE_CHECKING:
    from kitpack.prompts.facts import ModelFacts
    from kitpack.prompts.prompt import Prompt
    from kitpack.prompts.tokens import Counter

__all__ = ["Around", "Finding", "Found", "Severity", "Theme"]

Severity: TypeAlias = Literal["error", "warning", "hint"]
"""An error keeps a bundle from being packed, a warning is printed, a hint is printed to those who ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a prompt that somebody should look at.

    Attributes:
        rule: The id of the rule that found it.
        severity: How bad it is.
        path: The file, as the user would type it.
        line: Its line, counted from 1; 0 when it is the file itself.
        column: Its column, counted from 1; 0 when unknown.
        message: What was found.
        why: Why it matters; empty for what needs no explanation.
        hint: How to fix it.
        silence: The comment that silences the rule, on this line or the one above; empty where there can be none.
    """

    rule: str
    severity: Severity
    path: str
    line: int = 0
    column: int = 0
    message: str
    why: str = ""
    hint: str = ""
    silence: str = ""

    @property
    def issue(self) -> Issue:
        """The same as a fault among others; a rule that can be silenced is named."""
        named = f" [{self.rule}]" if self.why else ""
        return Issue(
            path=self.path,
            line=self.line,
            column=self.column,
            message=f"{self.message}{named}",
            hint=self.hint,
            severity=self.severity,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule has seen, before it is put into words for the user.

    Attributes:
        rule: The id of the rule.
        message: What was found.
        line: Its line in the file, counted from 1.
        column: Its column, counted from 1; 0 when unknown.
        hint: How to fix it, where the rule's general advice is not the best.
        path: The text it stands in, by its path in the bundle; empty for the prompt's own file.
    """

    rule: str
    message: str
    line: int = 0
    column: int = 0
    hint: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What lint may know besides the prompt itself.

    Attributes:
        path: The prompt's file as the user would type it; empty for its path in the bundle.
        previous: The prompt of the same name in the version before; None when there was none, or none is known.
        model: The packed model, without a name when the bundle packs none; None when nothing is known about it.
        counter: What counts tokens; None leaves out the rules about them.
        growth: The percentage of tokens by which a prompt may grow over the version before.
    """

    path: str = ""
    previous: Prompt | None = None
    model: ModelFacts | None = None
    counter: Counter | None = None
    growth: float = 10.0


Theme: TypeAlias = "Callable[[Prompt, Around], Iterator[Found]]"
"""Rules that look at the same thing."""
