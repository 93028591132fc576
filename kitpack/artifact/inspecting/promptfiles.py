"""Which files of a folder are prompts: those that its Kitfile names, or, without one, those that look like prompts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from kitpack.artifact.bundle import TEXT_LIMIT
from kitpack.artifact.packing.files import walk_files
from kitpack.artifact.packing.plan import is_prompt_by_name
from kitpack.artifact.paths import safe_path
from kitpack.errors import Issue, NotFoundError, PackError, UnsafePathError
from kitpack.kitfile.classify import is_secret, role_of
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.model import Kitfile
from kitpack.kitfile.paths import owner_of, read_bounded

__all__ = ["declared_files", "has_prompt_suffix", "is_part", "prompt_like", "read_inside", "read_or_note"]

_MOST_FILES = 10_000
_CHAT_SUFFIXES = frozenset({".json", ".yaml", ".yml"})
_TEXT_SUFFIXES = frozenset({"", ".md", ".txt", ".j2", ".jinja", ".jinja2", ".prompt", ".prompty"})
_SUFFIXES = _TEXT_SUFFIXES | _CHAT_SUFFIXES


def declared_files(folder: Path, kitfile: Kitfile, rules: IgnoreRules, faults: list[Issue]) -> Iterator[str]:
    """The prompt files of a Kitfile's entries, as packing finds them."""
    paths = {entry.path for entry in kitfile.entries}
    for entry in kitfile.entries:
        if entry.role not in ("prompt", "code"):
            continue
        try:
            for file in walk_files(folder, entry.path, rules):
                if owner_of(file.path, paths) == entry.path and (
                    entry.role == "prompt" or is_prompt_by_name(file.path)
                ):
                    yield file.path
        except (PackError, UnsafePathError) as error:
            if entry.role == "prompt":
                where = {"path": kitfile.path, "line": entry.line, "column": entry.column}
                faults.append(Issue(**where, message=error.message, hint=error.hint))  # type: ignore[arg-type]


def prompt_like(folder: Path, rules: IgnoreRules) -> Iterator[str]:
    """The files below a folder that look like prompts; links are not followed."""
    seen = 0
    for above, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith((".", "_")) and one != "node_modules")
        for name in sorted(files):
            location = Path(above) / name
            path = location.relative_to(folder).as_posix()
            seen += 1
            if seen > _MOST_FILES:
                return
            if _looks_like_prompt(path, folder.resolve().name) and not rules.matches(path) and _is_plain(location):
                yield path


def _looks_like_prompt(path: str, folder: str) -> bool:
    """Whether a file is taken for a prompt where nobody says so: by its name, or as a text that is about nothing else.

    Args:
        path: The file.
        folder: The name of the folder that all paths start from.
    """
    pure, suffix = PurePosixPath(path), _suffix(path)
    if is_part(path) or is_secret(path) or not suffix or suffix not in _SUFFIXES:
        return False
    if "prompt" in (role_of(path, b""), role_of(f"{folder}/{path}", b"")):
        return True
    is_text = suffix in _TEXT_SUFFIXES and role_of(path, b"") == "doc"
    return is_text and "doc" not in (role_of(f"prompts/{pure.name}", b""), role_of(str(pure.with_name("x.json")), b""))


def is_part(path: str) -> bool:
    """Whether a file is meant to be taken in by others, or hidden."""
    return PurePosixPath(path).name.startswith(("_", "."))


def has_prompt_suffix(path: str) -> bool:
    """Whether a file is called as prompts are."""
    return _suffix(path) in _SUFFIXES


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _is_plain(location: Path) -> bool:
    return location.is_file() and not location.is_symlink()


def read_or_note(folder: Path, path: str, faults: list[Issue]) -> bytes | None:
    """Read a file of a folder; None when it cannot be, or is too long."""
    try:
        raw = read_bounded(folder / path, TEXT_LIMIT)
    except OSError as error:
        faults.append(Issue(path=path, message=f"it cannot be read: {error.strerror}"))
        return None
    return raw if len(raw) <= TEXT_LIMIT else None


def read_inside(root: Path, path: str) -> bytes:
    """Read another file of a folder for a prompt that takes it in; nothing outside the folder is read."""
    try:
        location = (root / safe_path(path)).resolve(strict=True)
        raw = read_bounded(location, TEXT_LIMIT) if location.is_relative_to(root) else None
    except (OSError, RuntimeError, UnsafePathError):
        raw = None
    if raw is None or len(raw) > TEXT_LIMIT:
        raise NotFoundError(f"the folder has no file {path!r} that a prompt could take in")
    return raw
