"""Which files become which layers, decided before a byte is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from kitpack.artifact.packing.files import SourceFile, walk_files
from kitpack.artifact.paths import check_tree, printable, safe_path
from kitpack.content.digests import Stamp
from kitpack.errors import PackError
from kitpack.kitfile.classify import is_secret
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.model import Entry, Kitfile
from kitpack.kitfile.paths import owner_of

__all__ = ["PlannedLayer", "is_prompt_by_name", "plan_layers"]

MANY_FILES = 128
SMALL = 1 << 20
"""A folder of more files than this, smaller than this many bytes in the mean, becomes one tar layer."""

MAX_LAYERS = 512
"""With more layers than this the manifest nears the size that registries refuse; more folders become tar layers."""

_CONFIG_SUFFIXES = frozenset(
    {".json", ".txt", ".model", ".jinja", ".j2", ".yaml", ".yml", ".md", ".tiktoken", ".vocab"}
)
_PROMPT_SUFFIXES = frozenset({".prompt", ".prompty", ".j2", ".jinja", ".jinja2"})
_TEXT_SUFFIXES = frozenset({"", ".md", ".txt", ".yaml", ".yml", ".json"})
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
        role: What the files are for.
        path: The path it unpacks to: a file, or the folder that an archive fills.
        base: The ModelPack kind: ``weight``, ``weight.config``, ``code``, ``dataset`` or ``doc``.
        files: One file, or all files of an archive.
        archived: Whether the layer is a tar.
    """

    entry: Entry
    role: str
    path: str
    base: str
    files: tuple[SourceFile, ...]
    archived: bool

    @property
    def stamp(self) -> Stamp:
        """What is the same as long as the layer's bytes are: the files, and for an archive their names and modes."""
        inside = (lambda file: (file.path, file.mode)) if self.archived else (lambda _: ())
        parts = ((*file.stamp, file.changed, *inside(file)) for file in self.files)
        return Stamp.of(parts, (time for file in self.files for time in file.times))

    def as_archive(self) -> PlannedLayer:
        """The same files as a tar, whose bytes no other layer has because it holds their names."""
        return replace(self, archived=True)


def plan_layers(
    kitfile: Kitfile, folder: Path, ignored: IgnoreRules, *, follow_symlinks: bool = False
) -> list[PlannedLayer]:
    """Decide about every layer of a bundle, in the Kitfile's order.

    Where entries nest, a file belongs to the entry with the longest path.

    Args:
        kitfile: What the author declares.
        folder: The folder its paths start from.
        ignored: What to leave out. The Kitfile is packed as such, and never a second time as one of its own files.
        follow_symlinks: See :func:`kitpack.artifact.packing.files.walk_files`.

    Raises:
        PackError: When an entry has no files, a file cannot be packed, or an entry sweeps up what looks like a secret.
        UnsafePathError: When two paths cannot stand side by side on every machine.
    """
    found = [
        _Owned(entry, _owned_files(entry, kitfile, folder, ignored, follow_symlinks=follow_symlinks))
        for entry in kitfile.entries
    ]
    _refuse_secrets(found)
    check_tree([safe_path(kitfile.path), *(file.path for one in found for file in one.files)])
    archived = _choose_archives(found)
    return [layer for one in found for layer in _layers(one, archived=one.entry.path in archived)]


@dataclass(frozen=True, slots=True)
class _Owned:
    """An entry and the files that belong to it and to no longer path."""

    entry: Entry
    files: Sequence[SourceFile]

    @property
    def is_crowd(self) -> bool:
        return len(self.files) > MANY_FILES and sum(file.size for file in self.files) < SMALL * len(self.files)


def _owned_files(
    entry: Entry,
    kitfile: Kitfile,
    folder: Path,
    ignored: IgnoreRules,
    *,
    follow_symlinks: bool,
) -> list[SourceFile]:
    if entry.path != "." and ignored.matches(entry.path):
        raise PackError(f"{printable(entry.path)} stands in the Kitfile, but .kitignore leaves it out")
    found = list(walk_files(folder, entry.path, ignored, follow_symlinks=follow_symlinks))
    if not found:
        raise PackError(
            f"{printable(entry.path)} holds no files", hint="put files there, or take the entry out of the Kitfile"
        )
    paths = {other.path for other in kitfile.entries}
    return [file for file in found if not _is_kitfile(file, kitfile) and owner_of(file.path, paths) == entry.path]


def _refuse_secrets(found: Sequence[_Owned]) -> None:
    """A bundle is read by many and never forgotten, so a key gets into it only when its very name is in the Kitfile."""
    swept = [file.path for one in found for file in one.files if file.path != one.entry.path and is_secret(file.path)]
    if swept:
        shown = ", ".join(map(printable, swept[:5])) + (f" and {len(swept) - 5} more" if len(swept) > 5 else "")
        raise PackError(
            f"by their names, these files hold secrets: {shown}",
            hint="list them in .kitignore; to pack one all the same, name it in the Kitfile",
        )


def _is_kitfile(file: SourceFile, kitfile: Kitfile) -> bool:
    """Whether a file is the Kitfile, under whatever name; another file of that name stays, and collides with it."""
    if file.path != kitfile.path or file.size != len(kitfile.raw):
        return False
    return Path(file.location).read_bytes() == kitfile.raw


def _choose_archives(found: Sequence[_Owned]) -> set[str]:
    """The folders that become archives: those of many small files, then the fullest until the manifest is small."""
    fullest = sorted(found, key=lambda one: -len(one.files))
    chosen = {one.entry.path for one in fullest if one.is_crowd}
    layers = sum(1 if one.entry.path in chosen else len(one.files) for one in fullest)
    for one in fullest:
        if layers > MAX_LAYERS and len(one.files) > 1 and one.entry.path not in chosen:
            chosen.add(one.entry.path)
            layers -= len(one.files) - 1
    return chosen


def _layers(owned: _Owned, *, archived: bool) -> Iterator[PlannedLayer]:
    if archived:
        yield _layer(owned.entry, owned.entry.path, owned.files, archived=True)
    else:
        yield from (_layer(owned.entry, file.path, [file], archived=False) for file in owned.files)


def _layer(entry: Entry, path: str, files: Sequence[SourceFile], *, archived: bool) -> PlannedLayer:
    role = "prompt" if entry.role == "code" and is_prompt_by_name(path) else entry.role
    base = _BASES[role]
    if base == "weight" and PurePosixPath(path).suffix.lower() in _CONFIG_SUFFIXES:
        base = "weight.config"
    return PlannedLayer(entry=entry, role=role, path=path, base=base, files=tuple(files), archived=archived)


def is_prompt_by_name(path: str) -> bool:
    """Whether a file of a ``code`` entry is a prompt by its name; KitOps' Kitfiles had no other place for prompts."""
    pure = PurePosixPath(path)
    if any(suffix.lower() in _PROMPT_SUFFIXES for suffix in pure.suffixes):
        return True
    return "prompts" in pure.parts and pure.suffix.lower() in _TEXT_SUFFIXES
