"""The faults of one document, collected while it is read, so that its author sees all of them at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from kitpack.errors import Issue

__all__ = ["MAX_FAULTS", "Faults", "Kind", "decoded", "with_one_break"]

MAX_FAULTS = 100
"""Faults after which looking for more helps nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What sort of document is being read, for the words of its faults.

    Attributes:
        noun: What it is called, with its article: ``a Kitfile``.
        max_size: Bytes above which a file is no such document.
        too_large: What to do about a larger one.
        empty: What to do about an empty one; None when a document may be empty, and is a mapping without keys then.
    """

    noun: str
    max_size: int = 1 << 20
    too_large: str = ""
    empty: str | None = None


@dataclass(slots=True)
class Faults:
    """The faults found so far.

    Attributes:
        name: The file as the user would type it.
        issues: What was found, in the order in which it was.
    """

    name: str
    issues: list[Issue] = field(default_factory=list)

    def add(self, line: int, column: int, message: str, hint: str = "") -> None:
        """Note a fault; lines and columns are counted from 1, 0 is the file itself."""
        self.issues.append(Issue(path=self.name, line=line, column=column, message=message, hint=hint))

    def ordered(self) -> list[Issue]:
        """Each of them once, in the order of their lines; of very many, the first ones."""
        ordered = sorted(dict.fromkeys(self.issues), key=lambda issue: (issue.line, issue.column))
        if len(ordered) > MAX_FAULTS:
            last = Issue(path=self.name, message=f"these are the first {MAX_FAULTS} faults; there are more")
            ordered = [*ordered[:MAX_FAULTS], last]
        return ordered


def with_one_break(text: str) -> str:
    """A text whose lines all end in the same way, whatever system they were written on."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decoded(raw: bytes, kind: Kind, faults: Faults) -> str | None:
    """Read bytes as text, without their byte order mark; None, and a fault, when they are too many or not UTF-8."""
    if len(raw) > kind.max_size:
        faults.add(0, 0, f"it has more than {kind.max_size} bytes", kind.too_large)
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        faults.add(before.count(b"\n") + 1, column, f"byte 0x{raw[error.start]:02x} is not UTF-8", "save it as UTF-8")
        return None
