"""Paths that came from somebody else: from a manifest's annotations or from the members of an archive.

A path is data until :func:`safe_path` has passed it, and a set of paths is one until :func:`check_tree` has. Both ask
whether unpacking writes the same tree, inside the target folder only, on Linux and on macOS, where names that differ
in case or in Unicode normalisation alone are one file. Names that only Windows cannot write are allowed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from kitpack.errors import UnsafePathError

__all__ = ["Tree", "check_tree", "printable", "safe_path", "shown"]

MAX_COMPONENT = 255
MAX_PATH = 4096
MAX_DEPTH = 128
"""Names in a path on a disk: what walks, makes and removes folders calls itself for each of them."""

_MAX_SHOWN = 200
_DRIVE = re.compile(r"[A-Za-z]:")
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, halves of surrogate pairs, line and paragraph separators

_GIT = ".git"  # git runs what its configuration names, in whatever folder it stands
_SSH = ".ssh"  # what a home folder obeys
_RECORD = ".kitpack.json"  # what kitpack knows of an unpacked bundle, in whatever folder it was unpacked
_STAGING = ".kitpack-"  # where files wait until they have been proven, in any such folder


def printable(text: str, *, keep: str = "") -> str:
    r"""Make foreign text harmless to a terminal and to the reader's eye.

    Args:
        text: What somebody else wrote.
        keep: Characters to leave alone nevertheless, such as ``"\n\t"`` in text of several lines.

    Returns:
        The text, its control and direction-changing characters written as ``\x1b`` or ``\u202e``.
    """
    if not _has_hidden(text):
        return text
    return "".join(_escaped(char) if _is_hidden(char) and char not in keep else char for char in text)


def shown(text: str) -> str:
    """A path as error messages show it: printable, and no longer than a message may be."""
    return printable(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…")


def safe_path(text: str) -> str:
    """Check a path and bring it into its one spelling.

    Args:
        text: A path as a manifest or an archive states it.

    Returns:
        The path relative to the target folder, with forward slashes and no ``.`` or empty component.

    Raises:
        UnsafePathError: When writing there could leave the target folder, harm it, or deceive who reads the name.
    """
    parts = [part for part in text[: MAX_PATH + 1].split("/") if part not in ("", ".")]
    fault = _fault_of_text(text) or _fault_of_parts(parts)
    if fault:
        raise UnsafePathError(f"the path '{shown(text)}' {fault}")
    return "/".join(parts)


def check_tree(paths: Iterable[str]) -> None:
    """Check that files can stand side by side.

    Args:
        paths: Paths of files, each passed by :func:`safe_path`.

    Raises:
        UnsafePathError: When two of them are the same, differ only in case or Unicode normalisation, or one is a
            folder of another.
    """
    tree = Tree()
    for path in paths:
        tree.add_file(path)


@dataclass(slots=True)
class _Node:
    """A file or a folder by the name it was first met under; a file has no children."""

    name: str
    children: dict[str, _Node] | None = None
    listed: bool = False


@dataclass(slots=True)
class Tree:
    """Files and folders met so far, for checking one path after another.

    Attributes:
        entries: How many there are, counting folders that are only named by what they hold.
    """

    entries: int = 0
    _top: dict[str, _Node] = field(default_factory=dict)

    def add_file(self, path: str) -> None:
        """Take in a file.

        Raises:
            UnsafePathError: As :func:`check_tree`.
        """
        folder, _, name = path.rpartition("/")
        siblings = self._enter(folder)
        found = siblings.setdefault(_folded(name), _Node(name))
        if found.listed or found.children is not None:
            raise _conflict(path, _beside(path, found.name), found)
        found.listed = True
        self.entries += 1

    def add_folder(self, path: str) -> None:
        """Take in a folder that is listed for itself; it may have been named by a file in it before.

        Raises:
            UnsafePathError: As :func:`check_tree`, and when the folder is listed twice.
        """
        self._enter(path)
        folder, _, name = path.rpartition("/")
        node = self._enter(folder)[_folded(name)]
        if node.listed:
            raise UnsafePathError(f"the folder '{shown(path)}' is listed twice")
        node.listed = True

    def _enter(self, folder: str) -> dict[str, _Node]:
        children = self._top
        names = folder.split("/") if folder else []
        for depth, name in enumerate(names):
            key = _folded(name)
            if key not in children:
                children[key] = _Node(name, {})
                self.entries += 1
            node = children[key]
            if node.children is None or node.name != name:
                path = "/".join(names[: depth + 1])
                raise _conflict(path, _beside(path, node.name), node, is_folder=True)
            children = node.children
        return children


def _conflict(path: str, earlier: str, node: _Node, *, is_folder: bool = False) -> UnsafePathError:
    if path != earlier:
        return UnsafePathError(
            f"the paths '{shown(earlier)}' and '{shown(path)}' are one and the same where case or Unicode "
            "normalisation does not count"
        )
    if is_folder or node.children is not None:
        return UnsafePathError(f"the path '{shown(path)}' is both a file and a folder")
    return UnsafePathError(f"the path '{shown(path)}' stands twice")


def _beside(path: str, name: str) -> str:
    return path[: path.rfind("/") + 1] + name


def _fault_of_text(text: str) -> str:
    if not text:
        return "is empty; expected the name of a file"
    if len(text) > MAX_PATH or _length(text) > MAX_PATH:
        return f"is {_length(text)} bytes long; at most {MAX_PATH} are allowed"
    if _has_hidden(text):
        return "has control, direction-changing or unpaired surrogate characters"
    if text.startswith("/"):
        return "is absolute; expected one relative to the bundle"
    if "\\" in text:
        return "has a backslash; folders are separated by forward slashes"
    return ""


def _fault_of_parts(parts: list[str]) -> str:
    if not parts:
        return "names no file"
    if ".." in parts:
        return "leads upwards (..)"
    if any(_length(part) > MAX_COMPONENT for part in parts):
        return f"has a component of more than {MAX_COMPONENT} bytes"
    if _DRIVE.match(parts[0]):
        return "starts with a drive letter"
    if parts[0].startswith("~"):
        return "starts with a tilde, which shells take for a home folder"
    return _fault_of_place(parts)


def _fault_of_place(parts: list[str]) -> str:
    names = [_folded(part).rstrip(" .") for part in parts]
    ours = [name for name in names if name == _RECORD or name.startswith(_STAGING)]
    if ours or names[0] == _SSH:
        return f"is in a place that bundles may not write to ({shown([*ours, _SSH][0])})"
    if _GIT in names:
        return "is inside a .git folder, from which git runs commands"
    return ""


def _folded(name: str) -> str:
    """What macOS, and a reader's eye, take for the same name: no case, one normalisation, nothing invisible."""
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
    return "".join(char for char in folded if unicodedata.category(char) != "Cf")


def _length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _has_hidden(text: str) -> bool:
    return not text.isprintable() and any(map(_is_hidden, text))


def _is_hidden(char: str) -> bool:
    return char in _BIDI_CONTROLS or unicodedata.category(char) in _HIDDEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
