"""Changing one thing in a Kitfile and nothing else: comments, order and spacing stay as their author wrote them."""

from __future__ import annotations

import re
from dataclasses import replace

from kitpack.document.faults import Faults, Kind
from kitpack.document.tree import Fields, Node, Scalar
from kitpack.document.yamltext import read_yaml
from kitpack.errors import KitfileError, PackError
from kitpack.kitfile.load import parse_kitfile

__all__ = ["with_version"]

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def with_version(raw: bytes, name: str, version: str) -> bytes:
    """The bytes of a Kitfile with another ``package.version``.

    Args:
        raw: The Kitfile, without faults.
        name: Its file, as the user would type it.
        version: The version.

    Raises:
        KitfileError: When it has faults.
        PackError: When the version cannot be put where it belongs without touching anything else.
    """
    before = parse_kitfile(raw, name)
    text = raw.decode("utf-8-sig")
    root = read_yaml(text, Kind(noun="a Kitfile"), Faults(name))
    changed = _changed(text, root, version) if root else None
    new = raw if changed is None else raw[: len(raw) - len(text.encode())] + changed.encode()
    try:
        after = parse_kitfile(new, name)
    except KitfileError:
        after = before
    wanted = replace(before, package=replace(before.package, version=version), raw=after.raw)
    if after != wanted:
        raise PackError(f"{name}: package.version cannot be set here", hint=f"write it yourself: version: {version}")
    return new


def _changed(text: str, root: Node, version: str) -> str | None:
    package = root.members.get("package") if isinstance(root, Fields) else None
    if package is None:
        return (
            f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}package:\n  version: {_written(version)}\n"
        )
    key, fields = package
    if not isinstance(fields, Fields) or not fields.members:
        return None
    found = fields.members.get("version")
    if found is None:
        first, _ = next(iter(fields.members.values()))
        return _before(text, first, version, inline=first.line == key.line)
    return _replaced(text, found[1], version)


def _before(text: str, first: Scalar, version: str, *, inline: bool) -> str:
    """The text with the version before the first key of the package: on a line of its own, or between its braces."""
    start = _offset(text, first.line, first.column)
    indent = "" if inline else " " * (first.column - 1)
    return f"{text[:start]}version: {_written(version)}{', ' if inline else chr(10)}{indent}{text[start:]}"


def _replaced(text: str, old: Node, version: str) -> str | None:
    if not isinstance(old, Scalar):
        return None
    start = _offset(text, old.line, old.column)
    quote = text[start] if not old.plain else ""
    length = len(old.text) + 2 * len(quote)
    if quote not in ("", '"', "'") or text[start : start + length] != f"{quote}{old.text}{quote}":
        return None
    return f"{text[:start]}{quote}{version if quote else _written(version)}{quote}{text[start + length :]}"


def _written(version: str) -> str:
    return version if _PLAIN.fullmatch(version) else f'"{version}"'


def _offset(text: str, line: int, column: int) -> int:
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[: line - 1])) + column - 1
