"""How many tokens a prompt has: exactly, by the tokenizer of its model, or by an estimate that says it is one.

What is counted is the text of the templates as it is written, and nothing else. Values are not there yet, and what a
chat template puts around each message (usually 3 to 10 tokens) differs between servers of the same model, so there is
no allowance for either: equal texts have equal counts, and a change in percent is a change of what somebody wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from kitpack.prompts.prompt import Prompt

__all__ = ["Count", "Counter", "Estimate", "count_prompt", "estimate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number of tokens, and what it is worth.

    Attributes:
        tokens: How many.
        exact: Whether the model's own tokenizer counted; else it is an estimate.
        by: What counted, in words.
    """

    tokens: int
    exact: bool
    by: str

    def __str__(self) -> str:
        return f"{self.tokens}" if self.exact else f"~{self.tokens}"


class Counter(Protocol):
    """Something that counts tokens."""

    @property
    def name(self) -> str:
        """What it is, in words to show."""
        ...

    @property
    def exact(self) -> bool:
        """Whether it counts as the model does."""
        ...

    def count(self, text: str) -> int:
        """The number of tokens of a text, without any that mark its beginning or end.

        Raises:
            IntegrityError: When the tokenizer cannot do it; an estimate always can.
        """
        ...


@dataclass(frozen=True, slots=True)
class Estimate:
    """Counts by the kind and length of the runs of a text. See :func:`estimate`.

    Attributes:
        why: Why there is nothing better, in words to show.
    """

    why: str = ""

    @property
    def name(self) -> str:
        """What it is."""
        return f"estimate: {self.why}" if self.why else "estimate"

    @property
    def exact(self) -> bool:
        """Never."""
        return False

    def count(self, text: str) -> int:
        """About so many; at least one for any text at all."""
        return sum(_pieces(text))


def estimate(why: str = "") -> Counter:
    """The counter for when there is no tokenizer.

    It stands between the vocabularies of today and those of some years ago. Held against Llama 2's, it is a tenth too
    low for English prose and for code. Long numbers may be twice as many tokens: some models take them digit by digit.

    Args:
        why: Why there is nothing better, such as ``the bundle has no tokenizer``; it stands in the counter's name.
    """
    return Estimate(why)


def count_prompt(prompt: Prompt, counter: Counter) -> Count:
    """Count a prompt: the templates of all of its messages, and each text it includes once.

    Args:
        prompt: Whose tokens.
        counter: What counts them.

    Raises:
        IntegrityError: As :meth:`Counter.count`.
    """
    texts = [*(message.template for message in prompt.messages), *(one.text for one in prompt.includes.values())]
    return Count(tokens=sum(map(counter.count, texts)), exact=counter.exact, by=counter.name)


_RUNS_ASCII = (
    r"(?P<word>[A-Z]?[a-z]+|[A-Z]+(?![a-z]))"
    r"|(?P<number>[0-9]+)"
    r"|(?P<newlines>[ \t]*[\r\n]+)"
    r"|(?P<indent>[ \t]{2,})"
    r"|(?P<space>\s)"
    r"|(?P<marks>[!-/:-@\[-`{-~]+)"
    r"|(?P<other>.)"
)
_RUNS = (  # says the same of ASCII, but takes long to be compiled
    r"(?P<ideograph>[\u2e80-\u2fdf\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])"
    r"|(?P<letters>[^\W\d_a-zA-Z\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+)"
    rf"|{_RUNS_ASCII}"
)
_PER_TOKEN = {"word": 8, "number": 2, "letters": 3, "newlines": 8, "indent": 16, "marks": 2}
"""The characters of a run that one token takes in: between vocabularies that split numbers digit by digit and those
that take three at a time, and likewise for the rest."""


def _pieces(text: str) -> Iterator[int]:
    for run in re.finditer(_RUNS_ASCII if text.isascii() else _RUNS, text, re.DOTALL):
        kind, length = run.lastgroup or "", run.end() - run.start()
        if kind == "space":  # belongs to the word after it
            continue
        yield -(-length // _PER_TOKEN[kind]) if kind in _PER_TOKEN else 2 if kind == "other" else 1
