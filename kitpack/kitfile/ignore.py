"""What ``.kitignore`` leaves out of a bundle, by the rules of ``.dockerignore``.

Patterns are anchored at the Kitfile's folder. A pattern that matches a folder covers everything below it, ``!`` takes
back, and the last pattern that matches decides. Whatever it says, these are never packed as ordinary files: the Kitfile
itself, ``.kitignore``, ``.kitpack.json`` (all three beside each other), and ``.git`` wherever it is.

Spec: https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kitpack.errors import Issue, KitfileError
from kitpack.kitfile.model import KITFILE_NAMES

__all__ = ["IGNORE_NAME", "IgnoreRules"]

IGNORE_NAME = ".kitignore"

_NEVER = frozenset({*KITFILE_NAMES, IGNORE_NAME, ".kitpack.json", ".git"})
_TOKEN = re.compile(
    r"(?P<deep>\*\*/?)|(?P<star>\*)|(?P<one>\?)|\\(?P<plain>.)|\[(?P<not>\^?)(?P<set>(?:\\.|[^\\\]])+)\]|(?P<char>.)",
    re.DOTALL,
)
_SPAN = re.compile(r"\\?(?P<low>.)(?:-\\?(?P<high>.))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    ignores: bool


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """What to leave out, in the order of the file.

    Attributes:
        rules: One per line that says something.
    """

    rules: tuple[_Rule, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> IgnoreRules:
        """Read the ``.kitignore`` of a folder; without one, only what is always left out is left out.

        Raises:
            KitfileError: With a fault for every line that is not a pattern.
            OSError: When the file is there and cannot be read.
        """
        path = folder / IGNORE_NAME
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return cls()
        except UnicodeDecodeError:
            raise KitfileError([Issue(path=str(path), message="it is not UTF-8", hint="save it as UTF-8")]) from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, name: str = IGNORE_NAME) -> IgnoreRules:
        """Read the lines of a ``.kitignore``.

        Args:
            text: Its content.
            name: The file as the user would type it; stands in the faults.

        Raises:
            KitfileError: With a fault for every line that is not a pattern.
        """
        rules: list[_Rule] = []
        issues: list[Issue] = []
        for number, line in enumerate(text.split("\n"), start=1):
            try:
                rules.extend(_parse_line(line))
            except (re.error, ValueError):
                message = f"{line.strip()[:80]!r} is not a pattern"
                issues.append(Issue(path=name, line=number, column=1, message=message, hint="write [ as \\["))
        if issues:
            raise KitfileError(issues)
        return cls(tuple(rules))

    def matches(self, relative_path: str) -> bool:
        """Whether a file or folder is left out.

        A folder that is left out can still hold files that are not, see :meth:`covers`.

        Args:
            relative_path: Its path below the Kitfile's folder, forward slashes.
        """
        if _is_never_packed(relative_path):
            return True
        ignored = False
        for rule in self.rules:
            if rule.ignores != ignored and any(map(rule.pattern.fullmatch, _upwards(relative_path))):
                ignored = rule.ignores
        return ignored

    def covers(self, relative_path: str) -> bool:
        """Whether a folder is left out with everything below it, so that nobody needs to look inside.

        Args:
            relative_path: Its path below the Kitfile's folder, forward slashes.
        """
        if _is_never_packed(relative_path):
            return True
        return self.matches(relative_path) and all(rule.ignores for rule in self.rules)


def _is_never_packed(path: str) -> bool:
    first, _, below = path.partition("/")
    return (first in _NEVER and (not below or first == ".git")) or ".git" in path.split("/")


def _upwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _parse_line(line: str) -> Iterator[_Rule]:
    """The rule of a line, if it has one: ``.`` and ``/`` match nothing for historical reasons."""
    text = "" if line.startswith("#") else line.strip()
    ignores = not text.startswith("!")
    text = text.removeprefix("!").strip()
    if not text:
        if not ignores:
            raise ValueError("an exception without a pattern")
        return
    text = posixpath.normpath(text).lstrip("/")
    if text not in {"", "."}:
        yield _Rule(re.compile(_expression(text), re.DOTALL), ignores)


def _expression(pattern: str) -> str:
    """The pattern as a regular expression that does not try again what cannot help.

    When another ``*`` follows in the same name, the first place where the text between the two fits is as good as any,
    so an atomic group keeps it; otherwise a handful of stars could take minutes.
    """
    pieces: list[tuple[str, str]] = []
    for token in _TOKEN.finditer(pattern):
        kind, text = _translated(token, is_last=token.end() == len(pattern))
        if pieces and kind == pieces[-1][0]:
            text = pieces.pop()[1] + text if kind == "fixed" else text
        pieces.append((kind, text))
    kinds = [kind for kind, _ in pieces]
    for index in range(len(pieces) - 2):
        if kinds[index : index + 3] == ["star", "fixed", "star"]:
            pieces[index] = ("", "")
            pieces[index + 1] = ("", f"(?>[^/]*?{pieces[index + 1][1]})")
    return "".join(text for _, text in pieces)


def _translated(token: re.Match[str], *, is_last: bool) -> tuple[str, str]:
    """A piece of a pattern as a regular expression, and its kind: ``deep``, ``star`` or ``fixed``."""
    if token["deep"]:
        return "deep", ".*" if is_last else "(?:.*/)?"
    if token["star"]:
        return "star", "[^/]*"
    if token["one"]:
        return "fixed", "[^/]"
    if token["set"]:
        return "fixed", f"(?!/)[{token['not']}{''.join(map(_span, _SPAN.finditer(token['set'])))}]"
    if token["char"] in {"[", "\\"}:
        raise ValueError("an open bracket or a backslash at the end")
    return "fixed", re.escape(token["plain"] or token["char"])


def _span(part: re.Match[str]) -> str:
    """One character of a set, or a range of them."""
    return re.escape(part["low"]) + (f"-{re.escape(part['high'])}" if part["high"] else "")
