"""JSON from text, as the same tree that YAML gives.

JSON is YAML but for details that matter: it writes rare characters as pairs of surrogates, and indents with tabs.

Spec: https://www.rfc-editor.org/rfc/rfc8259
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import NoReturn

from kitpack.document.faults import Faults, Kind
from kitpack.document.tree import MAX_DEPTH, MAX_NODES, Fields, Items, Node, Scalar

__all__ = ["read_json"]

_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")

_STRINGS = JSONDecoder()


def read_json(text: str, kind: Kind, faults: Faults) -> Node | None:
    """Read the one value of a text; None, and a fault, when it is not JSON.

    Args:
        text: The text.
        kind: What sort of document it is.
        faults: Takes what is wrong.
    """
    reader = _Reader(text, kind, faults)
    try:
        return reader.document()
    except _StopError:
        return None


class _StopError(Exception):
    """Ends the reading: what follows the fault cannot be understood."""


@dataclass(slots=True)
class _Reader:
    """Reads values one after the other; ``at`` is where the next one starts."""

    text: str
    kind: Kind
    faults: Faults
    at: int = 0
    nodes: int = 0
    line: int = 1
    line_start: int = 0
    counted: int = 0

    def document(self) -> Node:
        """Read the one value there is."""
        if not self.text.strip():
            self._stop("it is empty", self.kind.empty or "")
        root = self._value(0)
        self._skip()
        if self.at < len(self.text):
            self._stop(f"more text follows; {self.kind.noun} in JSON is one value", "remove it")
        return root

    def _value(self, depth: int) -> Node:
        self._skip()
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            what = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"more than {MAX_NODES} values"
            self._stop(f"{what}; {self.kind.noun} never needs that", "make it simpler")
        line, column = self._place()
        match self.text[self.at : self.at + 1]:
            case "{":
                return Fields(line, column, self._fields(depth))
            case "[":
                return Items(line, column, self._items(depth))
            case '"':
                return Scalar(line, column, self._string(), plain=False)
        word = _WORD.match(self.text, self.at)
        if not word:
            self._stop(f"it is not JSON here: expected a value, found {self._next()}", "")
        self.at = word.end()
        return Scalar(line, column, word[0], plain=True)

    def _items(self, depth: int) -> tuple[Node, ...]:
        found: list[Node] = []
        self.at += 1
        while not self._ended("]", first=not found):
            found.append(self._value(depth + 1))
        return tuple(found)

    def _fields(self, depth: int) -> dict[str, tuple[Scalar, Node]]:
        found: dict[str, tuple[Scalar, Node]] = {}
        self.at += 1
        while not self._ended("}", first=not found):
            self._skip()
            line, column = self._place()
            if not self.text.startswith('"', self.at):
                self._stop(f"it is not JSON here: expected a key in quotes, found {self._next()}", "")
            key = Scalar(line, column, self._string(), plain=False)
            self._expect(":")
            value = self._value(depth + 1)
            if key.text in found:
                first = found[key.text][0].line
                self.faults.add(
                    line, column, f"the key {key.text[:80]!r} is listed twice; first on line {first}", "remove one"
                )
            found.setdefault(key.text, (key, value))
        return found

    def _ended(self, end: str, *, first: bool) -> bool:
        """Whether the list or mapping ends here; else what separates its members is skipped."""
        self._skip()
        if self.text.startswith(end, self.at):
            self.at += 1
            return True
        if not first:
            self._expect(",")
        return False

    def _expect(self, sign: str) -> None:
        self._skip()
        if not self.text.startswith(sign, self.at):
            self._stop(f"it is not JSON here: expected {sign!r}, found {self._next()}", "")
        self.at += 1

    def _string(self) -> str:
        try:
            value, self.at = _STRINGS.raw_decode(self.text, self.at)
        except JSONDecodeError as error:
            self.at = error.pos
            self._stop(f"it is not JSON here: {error.msg}", "")
        return str(value)

    def _skip(self) -> None:
        if space := _SPACE.match(self.text, self.at):
            self.at = space.end()

    def _place(self) -> tuple[int, int]:
        """The line and column of where it is, counted on from where it was asked last."""
        breaks = self.text.count("\n", self.counted, self.at)
        if breaks:
            self.line += breaks
            self.line_start = self.text.rfind("\n", self.counted, self.at) + 1
        self.counted = max(self.counted, self.at)
        return self.line, self.at - self.line_start + 1

    def _next(self) -> str:
        return repr(self.text[self.at : self.at + 20]) if self.at < len(self.text) else "the end"

    def _stop(self, message: str, hint: str) -> NoReturn:
        self.faults.add(*self._place(), message, hint)
        raise _StopError
