"""Kitfiles from text: the only place that knows YAML.

A Kitfile is read by people who were not there when it was written, so YAML's ways to say one thing and mean another are
refused: anchors and aliases, tags, merge keys, duplicate keys, several documents. Every fault is reported, not only
the first one, and each with its line and column.

Spec: https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import yaml

from kitpack.errors import Issue, KitfileError, KitpackError
from kitpack.kitfile.build import build, path_issues
from kitpack.kitfile.model import KITFILE_NAMES, Kitfile
from kitpack.kitfile.paths import read_bounded
from kitpack.kitfile.schema import MAX_FAULTS, definition, kitfile_schema, validate
from kitpack.kitfile.tree import Fields, Items, Node, Scalar, core_value, locate, to_json

__all__ = ["MAX_SIZE", "find_kitfile", "load_kitfile", "parse_kitfile"]

MAX_SIZE = 1 << 20
"""Bytes above which a file is not a Kitfile, and is not read."""

_MAX_DEPTH = 64
_MAX_NODES = 100_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same grammar, many times faster where it was compiled
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_JOINED = re.compile(r"(\s*(?:-\s+)?)([A-Za-z][A-Za-z0-9_-]*):(?!//)([^\s:].*)")
_HINTS = (
    ("mapping values are not allowed", "a value with a colon and a space in it needs quotes"),
    ("\\t", "indent with spaces"),
    ("escape", "in single quotes, a backslash is a backslash"),
    ("block", "check the indentation"),
    ("cannot start any token", "text that starts with such a character needs quotes"),
    ("':'", "a key needs a colon and a space after it"),
)


def find_kitfile(folder: Path) -> Path:
    """Find the Kitfile of a folder.

    Raises:
        KitpackError: When there is none, or more than one.
        OSError: When the folder cannot be read.
    """
    # Not exists(): where case is ignored, one file answers to several names.
    present = {path.name for path in folder.iterdir() if path.is_file()}
    found = [folder / name for name in KITFILE_NAMES if name in present]
    if not found:
        raise KitpackError(f"there is no Kitfile in {folder}", hint=f"kitpack init {folder}")
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise KitpackError(f"{folder} has {len(found)} Kitfiles: {names}", hint=f"keep one: rm {found[-1]}")
    return found[0]


def load_kitfile(path: Path) -> Kitfile:
    """Read a Kitfile from disk.

    Raises:
        KitfileError: With all of its faults.
        OSError: When it cannot be read.
    """
    return parse_kitfile(read_bounded(path, MAX_SIZE), str(path))


def parse_kitfile(raw: bytes, name: str) -> Kitfile:
    """Read a Kitfile.

    Args:
        raw: Its exact bytes; the result keeps them.
        name: The file as the user would type it; stands in the faults.

    Raises:
        KitfileError: With all of its faults.
    """
    faults = _Faults(name)
    root = _read_tree(raw, faults)
    if root is None:
        raise faults.error()
    data = to_json(root, kitfile_schema(), definition(""), faults.add)
    found = validate(data, lambda path, key: locate(root, path, key=key), name)
    faults.issues += [*found, *path_issues(data, root, name)]
    if faults.issues:
        raise faults.error()
    return build(data, root, raw, Path(name).name)


@dataclass(slots=True)
class _Faults:
    """The faults found so far."""

    name: str
    issues: list[Issue] = field(default_factory=list)

    def add(self, line: int, column: int, message: str, hint: str = "") -> None:
        self.issues.append(Issue(path=self.name, line=line, column=column, message=message, hint=hint))

    def error(self) -> KitfileError:
        """All of them, in the order of their lines; of very many, the first ones."""
        ordered = sorted(dict.fromkeys(self.issues), key=lambda issue: (issue.line, issue.column))
        if len(ordered) > MAX_FAULTS:
            last = Issue(path=self.name, message=f"these are the first {MAX_FAULTS} faults; there are more")
            ordered = [*ordered[:MAX_FAULTS], last]
        return KitfileError(ordered)


class _StopError(Exception):
    """Ends the reading: what follows the fault cannot be understood."""


def _read_tree(raw: bytes, faults: _Faults) -> Node | None:
    """Read the one document, or report why that cannot be done."""
    text = _decoded(raw, faults)
    if text is None:
        return None
    reader = _Reader(yaml.parse(text, Loader=_LOADER), faults)
    try:
        return reader.document()
    except _StopError:
        return None
    except yaml.MarkedYAMLError as error:
        faults.add(*_syntax_fault(error, text))
    except yaml.YAMLError as error:
        faults.add(0, 0, f"it is not YAML: {' '.join(str(error).split())}")
    return None


def _decoded(raw: bytes, faults: _Faults) -> str | None:
    if len(raw) > MAX_SIZE:
        faults.add(0, 0, f"it has more than {MAX_SIZE} bytes", "a Kitfile names files, it does not hold them")
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        faults.add(before.count(b"\n") + 1, column, f"byte 0x{raw[error.start]:02x} is not UTF-8", "save it as UTF-8")
        return None
    if odd := _UNPRINTABLE.search(text):
        line, column = _place(text, odd.start())
        faults.add(line, column, f"the character U+{ord(odd[0]):04X} is not allowed in YAML", "remove it")
        return None
    return text


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
    faults: _Faults
    nodes: int = 0

    def document(self) -> Node:
        """Read the one document of the stream."""
        started = [next(self.events), next(self.events)][1]
        root = self._node(next(self.events), 0) if isinstance(started, yaml.DocumentStartEvent) else None
        if root is None or (isinstance(root, Scalar) and root.plain and not root.text):
            self._stop(1, 1, "it is empty", f"kitpack init --force {Path(self.faults.name).parent}")
        following = [next(self.events), next(self.events)][1]
        if isinstance(following, yaml.DocumentStartEvent):
            self._fault(following, "a second document starts here; a Kitfile is one", "remove the line of dashes")
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        line, column = _mark(event)
        self.nodes += 1
        if depth > _MAX_DEPTH or self.nodes > _MAX_NODES:
            what = f"nested more than {_MAX_DEPTH} deep" if depth > _MAX_DEPTH else f"more than {_MAX_NODES} values"
            self._stop(line, column, f"{what}; no Kitfile needs that", "make it simpler")
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
