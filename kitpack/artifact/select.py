"""Which files of a bundle somebody wants: ``prompts,configs``, or paths with globs.

The Kitfile comes along with prompts: what it says about them, and the version of the bundle, stand nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kitpack.artifact.dialects import Layer
from kitpack.errors import NotFoundError

__all__ = ["EVERYTHING", "Selection"]

_WORDS = {
    "model": ("model", "model-part"),
    "prompt": ("prompt",),
    "config": ("config",),
    "dataset": ("dataset",),
    "code": ("code",),
    "doc": ("doc",),
    "kitfile": ("kitfile",),
}

_COMPANIONS = frozenset({"kitfile"})


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice among the files of a bundle; an empty one chooses all of them.

    Attributes:
        roles: Roles whose files are chosen.
        patterns: Paths and globs: ``*`` stays within a folder, ``**`` crosses folders, a folder means all below it.
    """

    roles: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, words: Iterable[str]) -> Selection:
        """Read what a user typed: types in singular or plural, paths, globs."""
        roles: set[str] = set()
        patterns = []
        for word in filter(None, (word.strip() for word in words)):
            known = _WORDS.get(word.lower()) or _WORDS.get(word.lower().removesuffix("s"))
            if known:
                roles.update(known)
            else:
                patterns.append(word.removeprefix("./").rstrip("/"))
        return cls(frozenset(roles), tuple(patterns))

    def covers(self, role: str, path: str) -> bool:
        """Whether a file is chosen."""
        if not self.roles and not self.patterns:
            return True
        chosen = role in self.roles or role in self._along
        return chosen or any(_expression(pattern).fullmatch(path) for pattern in self.patterns)

    @property
    def _along(self) -> frozenset[str]:
        """The roles whose files nobody asked for, and that the others are not whole without."""
        return _COMPANIONS - self.roles if "prompt" in self.roles else frozenset()

    def may_reach_into(self, layer: Layer) -> bool:
        """Whether a layer has to be fetched: chosen itself, or an archive with chosen files in it."""
        if self.covers(layer.role, layer.path):
            return True
        return layer.archived and any(_could_be_below(pattern, layer.path) for pattern in self.patterns)

    def check(self, paths: Sequence[str], layers: Sequence[Layer]) -> None:
        """Make sure that something was chosen.

        Raises:
            NotFoundError: When nothing was, or nothing by one of the patterns; a misspelt word must not look like an
                empty bundle.
        """
        expressions = {pattern: _expression(pattern) for pattern in self.patterns}
        idle = [pattern for pattern, one in expressions.items() if not any(map(one.fullmatch, paths))]
        along = {layer.path for layer in layers if layer.role in self._along}
        if not idle and (set(paths) - along or not self.roles):
            return
        asked = ", ".join(idle or sorted(self.roles))
        there = ", ".join(sorted({layer.role for layer in layers})) or "nothing"
        raise NotFoundError(
            f"nothing in the bundle matches {asked}; it holds {there}",
            hint=f"choose among {', '.join(sorted(_WORDS))}, or paths of the bundle (see `kitpack inspect`)",
        )


EVERYTHING = Selection()


def _expression(pattern: str) -> re.Pattern[str]:
    """A glob as an expression that also matches whatever lies below what the glob matches."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts) + "(?:/.*)?", re.DOTALL)


def _could_be_below(pattern: str, folder: str) -> bool:
    fixed = re.split(r"[*?]", pattern, maxsplit=1)[0]
    return folder == "." or fixed.startswith(f"{folder}/") or f"{folder}/".startswith(fixed)
