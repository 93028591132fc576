"""What looks like a secret, with as few false alarms as can be: an ignored rule protects nobody.

A finding never shows the secret: its first characters say which one is meant.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.where import Text, texts
from kitpack.prompts.prompt import Prompt

__all__ = ["secrets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of secret.

    Attributes:
        name: What it is called.
        pattern: What it looks like; the group ``secret`` is what must not be shown.
        entropy: The bits per character below which it is a made-up one.
    """

    name: str
    pattern: re.Pattern[str]
    entropy: float = 0.0


def _kind(name: str, pattern: str, entropy: float = 0.0) -> _Kind:
    return _Kind(name=name, pattern=re.compile(rf"(?<![A-Za-z0-9_-])(?P<secret>{pattern})"), entropy=entropy)


_KINDS = (
    _kind("an Anthropic key", r"sk-ant-[A-Za-z0-9]+-[A-Za-z0-9_-]{20,}", 3.5),
    _kind(
        "an OpenAI-style key",
        r"sk-(?:proj-|svcacct-|admin-|or-v1-|lf-)?(?=[\w-]{0,99}[A-Za-z0-9]{16})[A-Za-z0-9_-]{20,}",
        3.5,
    ),
    _kind("a GitHub token", r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})", 3.5),
    _kind("a GitLab token", r"gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,}", 3.5),
    _kind("an AWS access key", r"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])", 2.5),
    _kind("a Slack token", r"xox[abeoprs]-[A-Za-z0-9-]{20,}", 3.0),
    _kind("a Google API key", r"AIza[A-Za-z0-9_-]{35}", 3.5),
    _kind("a Stripe key", r"[rs]k_live_[A-Za-z0-9]{20,}", 3.5),
    _kind("a Hugging Face token", r"hf_[A-Za-z0-9]{30,}", 3.5),
    _kind("an npm token", r"npm_[A-Za-z0-9]{36}", 3.5),
    _kind("a PyPI token", r"pypi-AgEI[A-Za-z0-9_-]{50,}", 3.5),
    _kind("a SendGrid key", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", 3.5),
    _kind("a JSON web token", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}", 3.5),
    _Kind(
        name="a private key",
        pattern=re.compile(
            r"(?P<secret>-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----)\s{0,9}[A-Za-z0-9+/=:]{20}"
        ),
    ),
    _Kind(
        name="a password in an address",
        pattern=re.compile(r"\b[a-z][a-z0-9+.-]{2,20}://[^\s:/@{}<>]{1,100}:(?P<secret>[^\s:/@{}<>$*]{6,200})@[\w.-]"),
        entropy=2.5,
    ),
    _Kind(
        name="a secret that is assigned",
        pattern=re.compile(
            r"(?i:\b[\w-]{0,40}(?:api[_-]?key|secret|token|passw(?:or)?d|passphrase|access[_-]?key|auth[_-]?key|credential)s?)"
            r"['\"]?\s{0,3}(?::|=|:=|=>)\s{0,3}['\"]?(?P<secret>(?=[^\s'\"]{0,99}[0-9])(?=[^\s'\"]{0,99}[A-Za-z])[A-Za-z0-9+/_.=!#%^&*~-]{16,500})"
        ),
        entropy=3.7,
    ),
)

_MADE_UP = re.compile(
    r"example|sample|placeholder|redacted|changeme|dummy|fake|your|xxx|\.\.\.|\*\*\*|0{6}|1234567|abcdefg|test[_-]|<",
    re.IGNORECASE,
)


def secrets(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find keys, tokens and passwords, each place once."""
    for text in texts(prompt):
        taken: list[tuple[int, int]] = []
        for kind in _KINDS:
            for found in kind.pattern.finditer(text.text):
                start, end = found.span("secret")
                if all(end <= first or last <= start for first, last in taken) and not _is_made_up(kind, found):
                    taken.append((start, end))
                    yield _finding(kind, found, text)


def _finding(kind: _Kind, found: re.Match[str], text: Text) -> Found:
    line, column = text.at(found.start("secret"))
    secret = found["secret"]
    shown = "" if secret.startswith("-") else f" ({_masked(secret)})"
    message = f"this looks like {kind.name}{shown}"
    return Found(rule="prompt-secret", message=message, line=line, column=column, path=text.path)


def _masked(secret: str) -> str:
    """A secret that can be recognized by whoever has it, and used by nobody."""
    return f"{secret[: min(4, len(secret) // 4)]}… of {len(secret)} characters"


def _is_made_up(kind: _Kind, found: re.Match[str]) -> bool:
    secret = found["secret"]
    if secret.startswith("-"):
        return False
    return bool(_MADE_UP.search(secret)) or _entropy(secret) < kind.entropy or _is_sentence(kind, secret)


def _is_sentence(kind: _Kind, secret: str) -> bool:
    """Whether it is made of words, as names and file paths are: letters in runs, hardly a digit among them."""
    if "assigned" not in kind.name and "OpenAI" not in kind.name:
        return False
    return max(len(run) for run in re.split("[^A-Za-z0-9]", secret)) < 12 or not re.search("[0-9]", secret)


def _entropy(text: str) -> float:
    """Bits per character: about 4.7 for random letters, below 3.5 for what people make up."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
