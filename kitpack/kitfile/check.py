"""A Kitfile held against the folder it describes."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kitpack.document.schema import nearest
from kitpack.errors import InvalidReferenceError, Issue
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.model import Entry, Kitfile
from kitpack.kitfile.paths import owner_of
from kitpack.oci.reference import Reference

__all__ = ["check_files"]

_MAX_PROMPT = 4 << 20


def check_files(
    kitfile: Kitfile, folder: Path, rules: IgnoreRules | None = None, *, follow_symlinks: bool = False
) -> list[Issue]:
    """Find what would keep the files from being packed, all of it at once.

    Args:
        kitfile: What the author declares.
        folder: The folder its paths start from.
        rules: What is left out; by default, what the folder's ``.kitignore`` says.
        follow_symlinks: Whether links may lead to folders, and out of the folder.

    Returns:
        The faults, in the order of the Kitfile's lines.

    Raises:
        KitfileError: When the ``.kitignore`` has faults.
        OSError: When the folder itself cannot be read.
    """
    check = _Check(
        name=str(folder / kitfile.path),
        folder=folder,
        real=folder.resolve(strict=True),
        rules=IgnoreRules.load(folder) if rules is None else rules,
        follow_symlinks=follow_symlinks,
        claimed=frozenset(entry.path for entry in kitfile.entries),
    )
    issues = [issue for entry in kitfile.entries for issue in check.entry(entry)]
    return sorted(issues, key=lambda issue: (issue.line, issue.column))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    name: str
    folder: Path
    real: Path
    rules: IgnoreRules
    follow_symlinks: bool
    claimed: frozenset[str]

    def entry(self, entry: Entry) -> Iterator[Issue]:
        """The faults of one entry."""
        try:
            message, hint = self._absence(entry)
            if not message and IgnoreRules().matches(entry.path):
                message, hint = f"{entry.path} cannot be an entry", "take it out of the Kitfile"
            elif not message and self._is_ignored(entry.path, str(self.folder / entry.path)):
                message, hint = f"{entry.path} is left out by .kitignore", f"add `!{entry.path}` to .kitignore"
            faults = [(message, hint)] if message else list(self._file_faults(entry))
        except OSError as error:
            faults = [(f"{entry.path} cannot be read: {error.strerror}", "")]
        for message, hint in faults:
            yield Issue(path=self.name, line=entry.line, column=entry.column, message=message, hint=hint)

    def _absence(self, entry: Entry) -> tuple[str, str]:
        """What is wrong when the path does not exist in exactly this spelling."""
        above = self.folder
        for step in PurePosixPath(entry.path).parts:
            names = os.listdir(above) if above.is_dir() else []  # noqa: PTH208  # names, not paths
            if step not in names and not _is_spelled_differently(step, names, above):
                return self._missing(entry, above, nearest(step, names))
            above /= step
        return "", ""

    def _missing(self, entry: Entry, above: Path, meant: str) -> tuple[str, str]:
        if entry.role in {"model", "dataset"} and _is_reference(entry.path):
            return (
                f"{entry.path} does not exist; kitpack packs files, it does not refer to another bundle",
                f"kitpack unpack {entry.path} -o DIR, then name its files here",
            )
        hint = f"did you mean {(above / meant).relative_to(self.folder).as_posix()}?" if meant else ""
        return f"{entry.path} does not exist", hint

    def _file_faults(self, entry: Entry) -> Iterator[tuple[str, str]]:
        found = 0
        for path, fault in self._walk(entry.path, (), str(self.folder / entry.path)):
            found += 1
            if fault[0]:
                yield fault
            elif entry.role == "prompt" and self._owner(path) == entry.path:
                yield from _prompt_fault(path, self.folder / path)
        if not found:
            yield f"{entry.path} holds no files to pack", "put files there, or take the entry out of the Kitfile"

    def _walk(
        self, path: str, above: tuple[tuple[int, int], ...], location: str
    ) -> Iterator[tuple[str, tuple[str, str]]]:
        """Every file at or below a path, with what is wrong with it."""
        found = os.lstat(location)
        if not above or stat.S_ISLNK(found.st_mode):  # there may be links above an entry, but not below it
            if fault := self._link_fault(path, Path(location)):
                yield path, fault
                return
            found = Path(location).stat()
        identity = (found.st_dev, found.st_ino)
        if identity in above:
            yield path, (f"{path!r} is a link to a folder above itself", "list it in .kitignore")
        elif stat.S_ISDIR(found.st_mode):
            for name in sorted(os.listdir(location)):  # noqa: PTH208  # names, not paths
                child = name if path == "." else f"{path}/{name}"
                if not self._is_ignored(child, f"{location}/{name}"):
                    yield from self._walk(child, (*above, identity), f"{location}/{name}")
        elif stat.S_ISREG(found.st_mode):
            yield path, ("", "")
        else:
            yield path, (f"{path!r} is neither a file nor a folder", "list it in .kitignore")

    def _is_ignored(self, path: str, location: str) -> bool:
        return self.rules.matches(path) and (self.rules.covers(path) or not Path(location).is_dir())

    def _link_fault(self, path: str, location: Path) -> tuple[str, str] | None:
        """What is wrong with the links on the way to a file, if anything."""
        try:
            real = location.resolve(strict=True)
        except (OSError, RuntimeError):
            return f"{path!r} is a link that leads nowhere", "remove it"
        if self.follow_symlinks:
            return None
        if not real.is_relative_to(self.real):
            return f"{path!r} is a link out of the folder, to {str(real)!r}", "copy what it leads to into the folder"
        if location.is_symlink() and real.is_dir():
            return f"{path!r} is a link to a folder", "name the folder itself, or list the link in .kitignore"
        return None

    def _owner(self, path: str) -> str:
        return owner_of(path, self.claimed) or ""


def _is_spelled_differently(step: str, names: list[str], above: Path) -> bool:
    """Whether the name is there in another Unicode form, which some file systems do not tell apart."""
    composed = unicodedata.normalize("NFC", step)
    return any(unicodedata.normalize("NFC", name) == composed for name in names) and os.path.lexists(above / step)


def _is_reference(text: str) -> bool:
    try:
        return bool(re.search("[:@]", text)) and bool(Reference.parse(text))
    except InvalidReferenceError:
        return False


def _prompt_fault(path: str, location: Path) -> Iterator[tuple[str, str]]:
    with location.open("rb") as file:
        raw = file.read(_MAX_PROMPT + 1)
    if len(raw) > _MAX_PROMPT:
        yield f"{path!r} is too large for a prompt: more than {_MAX_PROMPT} bytes", "list it under datasets"
        return
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"{path!r} is not a prompt: byte {error.start} is not UTF-8"
        yield message, "save it as UTF-8, or list it in another section or in .kitignore"
