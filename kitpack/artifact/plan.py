"""Which files become which layers, decided before a byte is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from kitpack.artifact.files import SourceFile, walk_files
from kitpack.artifact.paths import check_tree, printable
from kitpack.errors import PackError
from kitpack.kitfile.model import Entry, Kitfile

__all__ = ["PlannedLayer", "plan_layers"]

MANY_FILES = 128
SMALL = 1 << 20
"""A folder of more files than this, smaller than this many bytes in the mean, becomes one tar layer."""

MAX_LAYERS = 512
"""With more layers than this the manifest nears the size that registries refuse; more folders become tar layers."""

_CONFIG_SUFFIXES = frozenset(
    {".json", ".txt", ".model", ".jinja", ".j2", ".yaml", ".yml", ".md", ".tiktoken", ".vocab"}
)
_BASES = {
    "model": "weight",
    "model-part": "weight",
    "prompt": "code",
    "config": "code",
    "dataset": "dataset",
    "code": "code",
    "doc": "doc",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLayer:
    """A layer to be.

    Attributes:
        entry: The Kitfile's entry that asked for it.
        path: The path it unpacks to: a file, or the folder that an archive fills.
        base: The ModelPack kind: ``weight``, ``weight.config``, ``code``, ``dataset`` or ``doc``.
        files: One file, or all files of an archive.
        archived: Whether the layer is a tar.
    """

    entry: Entry
    path: str
    base: str
    files: tuple[SourceFile, ...]
    archived: bool

    @property
    def role(self) -> str:
        """What the files are for."""
        return self.entry.role

    def as_archive(self) -> PlannedLayer:
        """The same files as a tar, whose bytes no other layer has because it holds their names."""
        return replace(self, archived=True)


def plan_layers(
    kitfile: Kitfile, folder: Path, ignored: Callable[[str], bool], *, follow_symlinks: bool = False
) -> list[PlannedLayer]:
    """Decide about every layer of a bundle, in the Kitfile's order.

    Where entries nest, a file belongs to the entry with the longest path.

    Args:
        kitfile: What the author declares.
        folder: The folder its paths start from.
        ignored: Says whether a path below the folder is left out.
        follow_symlinks: See :func:`kitpack.artifact.files.walk_files`.

    Raises:
        PackError: When an entry has no files, or a file cannot be packed.
        UnsafePathError: When two paths cannot stand side by side on every machine.
    """
    owned = [(entry, _owned_files(kitfile, entry, folder, ignored, follow_symlinks)) for entry in kitfile.entries]
    check_tree(file.path for _, files in owned for file in files)
    archived = _archived([(entry, files) for entry, files in owned if len(files) > 1])
    return [layer for entry, files in owned for layer in _layers(entry, files, archived=entry in archived)]


def _owned_files(
    kitfile: Kitfile, entry: Entry, folder: Path, ignored: Callable[[str], bool], follow_symlinks: bool
) -> list[SourceFile]:
    if entry.path != "." and ignored(entry.path):
        raise PackError(f"{printable(entry.path)} stands in the Kitfile, but .kitignore leaves it out")
    found = list(walk_files(folder, entry.path, ignored, follow_symlinks=follow_symlinks))
    if not found:
        raise PackError(
            f"{printable(entry.path)} holds no files", hint="put files there, or take the entry out of the Kitfile"
        )
    paths = {other.path for other in kitfile.entries}
    return [file for file in found if _owner(file.path, paths) == entry.path]


def _owner(path: str, entries: set[str]) -> str:
    return next(above for above in _upwards(path) if above in entries)


def _upwards(path: str) -> Iterator[str]:
    yield path
    yield from (str(parent) for parent in PurePosixPath(path).parents)


def _archived(folders: Sequence[tuple[Entry, list[SourceFile]]]) -> set[Entry]:
    """The folders that become archives: those of many small files, then the fullest until the manifest is small."""
    fullest = sorted(folders, key=lambda one: -len(one[1]))
    chosen = {
        entry for entry, files in fullest if len(files) > MANY_FILES and sum(f.size for f in files) < SMALL * len(files)
    }
    layers = sum(1 if entry in chosen else len(files) for entry, files in fullest)
    for entry, files in fullest:
        if layers <= MAX_LAYERS:
            break
        if entry not in chosen:
            chosen.add(entry)
            layers -= len(files) - 1
    return chosen


def _layers(entry: Entry, files: Sequence[SourceFile], *, archived: bool) -> Iterator[PlannedLayer]:
    if archived:
        base = _base(entry, files[0].path)
        yield PlannedLayer(entry=entry, path=entry.path, base=base, files=tuple(files), archived=True)
        return
    for file in files:
        yield PlannedLayer(entry=entry, path=file.path, base=_base(entry, file.path), files=(file,), archived=False)


def _base(entry: Entry, path: str) -> str:
    base = _BASES[entry.role]
    if base == "weight" and PurePosixPath(path).suffix.lower() in _CONFIG_SUFFIXES:
        return "weight.config"
    return base
