"""YAML from text: the only place that knows YAML.

What an author writes is read by people who were not there when it was written, so YAML's ways to say one thing and mean
another are refused: anchors and aliases, tags, merge keys, duplicate keys, several documents. Every fault is reported,
not only the first one, and each with its line and column.

Spec: https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import yaml

from kitpack.document.faults import Faults, Kind
from kitpack.document.tree import MAX_DEPTH, MAX_NODES, Fields, Items, Node, Scalar, core_value

__all__ = ["read_yaml"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same grammar, many times faster where it was compiled
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_UNPRINTABLE_ASCII = "[^\t\n\r\x20-\x7e]"  # says the same of such text, and is made in no time
_JOINED = re.compile(r"(\s*(?:-\s+)?)([A-Za-z][A-Za-z0-9_-]*):(?!//)([^\s:].*)")
_HINTS = (
    ("mapping values are not allowed", "a value with a colon and a space in it needs quotes"),
    ("\\t", "indent with spaces"),
    ("escape", "in single quotes, a backslash is a backslash"),
    ("block", "check the indentation"),
    ("cannot start any token", "text that starts with such a character needs quotes"),
    ("':'", "a key needs a colon and a space after it"),
)


def read_yaml(text: str, kind: Kind, faults: Faults) -> Node | None:
    """Read the one document of a text; None, and faults, when that cannot be done.

    Args:
        text: The text. Lines are counted from its start: what stands at the top of a longer text is read in its place.
        kind: What sort of document it is.
        faults: Takes what is wrong.
    """
    if odd := re.search(_UNPRINTABLE_ASCII if text.isascii() else _UNPRINTABLE, text):
        line, column = _place(text, odd.start())
        faults.add(line, column, f"the character U+{ord(odd[0]):04X} is not allowed in YAML", "remove it")
        return None
    reader = _Reader(yaml.parse(text, Loader=_LOADER), kind, faults)
    try:
        return reader.document()
    except _StopError:
        return None
    except yaml.MarkedYAMLError as error:
        faults.add(*_syntax_fault(error, text))
    except yaml.YAMLError as error:
        faults.add(0, 0, f"it is not YAML: {' '.join(str(error).split())}")
    return None


class _StopError(Exception):
    """Ends the reading: what follows the fault cannot be understood."""


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, str, str]:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    lines = text.splitlines()
    if joined := _joined_key(lines, line):
        return joined
    rest = lines[line - 1][column - 1 :] if 0 < line <= len(lines) else ""
    if rest.startswith("\t"):
        return line, column, "a tab stands where YAML wants spaces", "indent with spaces"
    message = " ".join(filter(None, [error.problem, error.context]))
    hint = next((advice for sign, advice in _HINTS if sign in message), "")
    return line, column, f"it is not YAML here: {message}", hint


def _joined_key(lines: Sequence[str], line: int) -> tuple[int, int, str, str] | None:
    """The key without a space after its colon that misled YAML, in the line it complains about or shortly before."""
    for number in (line, line - 1, line - 2):
        if 0 < number <= len(lines) and (found := _JOINED.match(lines[number - 1])):
            indent, key, value = found.groups()
            message = f"the space after the colon is missing: {f'{key}:{value}'[:80]!r}"
            return number, len(indent) + 1, message, f"write `{key}: {value[:60]}`"
    return None


@dataclass(slots=True)
class _Reader:
    """Reads the events of the YAML parser, which never nest, into a tree whose depth is bounded."""

    events: Iterator[yaml.Event]
    kind: Kind
    faults: Faults
    nodes: int = 0

    def document(self) -> Node:
        """Read the one document of the stream."""
        started = [next(self.events), next(self.events)][1]
        root = self._node(next(self.events), 0) if isinstance(started, yaml.DocumentStartEvent) else None
        if root is None or (isinstance(root, Scalar) and root.plain and not root.text):
            if self.kind.empty is not None:
                self._stop(1, 1, "it is empty", self.kind.empty)
            root = Fields(1, 1, {})
        following = [event for event in (next(self.events, None), next(self.events, None)) if event][-1:]
        if following and isinstance(following[0], yaml.DocumentStartEvent):
            message = f"a second document starts here; {self.kind.noun} is one"
            self._fault(following[0], message, "remove the line of dashes")
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        line, column = _mark(event)
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            what = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"more than {MAX_NODES} values"
            self._stop(line, column, f"{what}; {self.kind.noun} never needs that", "make it simpler")
        self._refuse_indirection(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return Items(line, column, tuple(self._members(yaml.SequenceEndEvent, depth)))
        if isinstance(event, yaml.MappingStartEvent):
            return Fields(line, column, self._fields(depth))
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(line, column, event.value, not event.style)
        return Scalar(line, column, "", plain=True)  # an alias, reported already

    def _members(self, end: type[yaml.Event], depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self.events), end):
            yield self._node(event, depth + 1)

    def _fields(self, depth: int) -> dict[str, tuple[Scalar, Node]]:
        members = self._members(yaml.MappingEndEvent, depth)
        result: dict[str, tuple[Scalar, Node]] = {}
        for key, value in zip(members, members, strict=True):
            message, hint = _key_fault(key)
            if isinstance(key, Scalar) and key.text in result:
                first = result[key.text][0].line
                message, hint = f"the key {key.text[:80]!r} is listed twice; first on line {first}", "remove one"
            if message:
                self.faults.add(key.line, key.column, message, hint)
            elif isinstance(key, Scalar):
                result[key.text] = (key, value)
        return result

    def _refuse_indirection(self, event: yaml.Event) -> None:
        anchor: str = getattr(event, "anchor", None) or ""
        tag: str = getattr(event, "tag", None) or ""
        if isinstance(event, yaml.AliasEvent):
            self._fault(event, f"the alias *{anchor[:80]} is not allowed", "write the value out")
        elif anchor:
            self._fault(event, f"the anchor &{anchor[:80]} is not allowed", "write the value out where it is used")
        if tag:
            self._fault(event, f"the tag {_short_tag(tag)} is not allowed", "remove it; to make a value text, quote it")

    def _fault(self, event: yaml.Event, message: str, hint: str) -> None:
        self.faults.add(*_mark(event), message, hint)

    def _stop(self, line: int, column: int, message: str, hint: str) -> NoReturn:
        self.faults.add(line, column, message, hint)
        raise _StopError


def _mark(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _key_fault(key: Node) -> tuple[str, str]:
    if isinstance(key, Scalar) and key.plain and key.text == "<<":
        return "merge keys (<<) are not allowed", "write the values out"
    try:
        is_text = isinstance(key, Scalar) and (not key.plain or isinstance(core_value(key.text), str))
    except ValueError:
        is_text = False
    return ("", "") if is_text else ("a key that is not text", "write the key in quotes")


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!", 1)[:80]
