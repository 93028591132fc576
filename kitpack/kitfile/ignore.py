"""What ``.kitignore`` leaves out of a bundle, by the rules of ``.dockerignore``.

Patterns are anchored at the Kitfile's folder. A pattern that matches a folder covers everything below it, ``!`` takes
back, and the last pattern that matches decides. Whatever it says, these are never packed as ordinary files: the Kitfile
itself and the ``.kitignore`` beside it; ``.git``, ``.kitpack.json`` and ``.kitpack-*`` wherever they are.

Spec: https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kitpack.errors import Issue, KitfileError
from kitpack.kitfile.glob import Pattern
from kitpack.kitfile.model import KITFILE_NAMES
from kitpack.kitfile.paths import read_bounded

__all__ = ["IGNORE_NAME", "IgnoreRules"]

IGNORE_NAME = ".kitignore"

_NEVER_BESIDE = frozenset({*KITFILE_NAMES, IGNORE_NAME})
_NEVER = frozenset({".git", ".kitpack.json"})
_OURS = ".kitpack-"  # what an unpack leaves behind when it is interrupted
_MAX_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: Pattern
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
            KitfileError: When it is too large, or no text; with a fault for every line that is not a pattern.
            OSError: When the file is there and cannot be read, or is no ordinary file.
        """
        path = folder / IGNORE_NAME
        try:
            raw = read_bounded(path, _MAX_SIZE)
        except FileNotFoundError:
            return cls()
        if len(raw) > _MAX_SIZE:
            message = f"it has more than {_MAX_SIZE} bytes"
            raise KitfileError([Issue(path=str(path), message=message, hint="write fewer patterns, with * in them")])
        try:
            return cls.parse(_with_plain_breaks(raw.decode("utf-8-sig")), str(path))
        except UnicodeDecodeError:
            raise KitfileError([Issue(path=str(path), message="it is not UTF-8", hint="save it as UTF-8")]) from None

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
            except ValueError as error:
                hint = "write [ as \\[" if "[" in line or "\\" in line else ""
                message = f"{line.strip()[:80]!r} is not a pattern: {error}"
                issues.append(Issue(path=name, line=number, column=1, message=message, hint=hint))
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
            if rule.ignores != ignored and rule.pattern.covers(relative_path):
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
    if path in _NEVER_BESIDE:
        return True
    # all other names begin with a dot, and hardly any file's does
    hidden = path.split("/") if path.startswith(".") or "/." in path else []
    return any(name in _NEVER or name.startswith(_OURS) for name in hidden)


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
        yield _Rule(Pattern(text), ignores)


def _with_plain_breaks(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
