"""The files of a bundle that tell about its model, wherever they are and however they were packed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.decompress import Limits
from kitpack.artifact.dialects import Layer, read_layer
from kitpack.content.nearest import Nearest
from kitpack.content.target import Adds, Source, fetch_bytes
from kitpack.content.verify import Readable, VerifyingStream
from kitpack.errors import IntegrityError, KitpackError
from kitpack.kitfile.classify import is_weight
from kitpack.kitfile.load import find_kitfile, load_kitfile
from kitpack.kitfile.model import Kitfile
from kitpack.kitfile.paths import owner_of, read_bounded
from kitpack.oci.descriptor import Descriptor

__all__ = ["ModelFile", "Opened", "bundle_files", "declared_kitfile", "folder_files"]

Opened: TypeAlias = AbstractContextManager[tuple[Readable, int]]
"""A stream from the beginning of a file, and the file's number of bytes."""

_TOLD = frozenset({"tokenizer.json", "config.json", "tokenizer_config.json"})
_LARGEST_ARCHIVE = 64 << 20
_UNKNOWN_SIZE = 1 << 62
_MOST_ENTRIES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file that may tell about the model, or an archive that may hold such files.

    Attributes:
        path: Its path in the bundle.
        role: Its role there; empty when nobody said.
        size: Its number of bytes.
        near: Whether its bytes are on this machine.
        is_gguf: Whether it is a GGUF file, or an archive of one.
        is_archive: Whether it is an archive or compressed.
        open: Opens it, or the first file in it. What is read that way has not been proven.
        read: Reads the file of a name, or that file in it, proven and up to a number of bytes; None when it is not
            in it.
    """

    path: str
    role: str
    size: int
    near: bool
    is_gguf: bool
    is_archive: bool
    open: Callable[[], Opened]
    read: Callable[[str, int], bytes | None]

    def named(self, name: str) -> bool:
        """Whether that is the name of the file."""
        return PurePosixPath(self.path).name == name


def bundle_files(bundle: Bundle) -> Iterator[ModelFile]:
    """The files of a bundle that may tell about its model; nothing of them is fetched yet.

    Raises:
        NotFoundError, RegistryError: When the Kitfile of the bundle cannot be fetched.
    """
    for layer in bundle.layers:
        about = layer.role in ("model", "model-part")
        gguf = layer.path.lower().endswith(".gguf") or "gguf" in layer.descriptor.media_type.lower()
        if about or gguf or PurePosixPath(layer.path).name in _TOLD:
            yield ModelFile(
                path=layer.path,
                role=layer.role,
                size=layer.descriptor.size,
                near=_is_near(bundle.source, layer.descriptor),
                is_gguf=gguf,
                is_archive=not layer.verbatim,
                open=partial(_open_layer, bundle.source, layer),
                read=partial(_read_layer, bundle.source, layer),
            )


def folder_files(folder: Path, kitfile: Kitfile | None) -> Iterator[ModelFile]:
    """The files below a folder that may tell about its model, in the order of their paths.

    Args:
        folder: Where they are.
        kitfile: What is declared of them; None to look at every file.

    Raises:
        OSError: When the folder cannot be read.
    """
    root = folder.resolve()
    roles = None if kitfile is None else {entry.path: entry.role for entry in reversed(kitfile.entries)}
    for path in sorted(_walk(root)):
        role = _role_of(path, roles)
        name = path.rpartition("/")[2]
        gguf = name.lower().endswith(".gguf")
        may_tell = gguf or name in _TOLD or role == "model"
        if may_tell and role is not None and _is_inside(root / path, root):
            yield ModelFile(
                path=path,
                role=role,
                size=(root / path).stat().st_size,
                near=True,
                is_gguf=gguf or (role == "model" and _begins_as_gguf(root / path)),
                is_archive=False,
                open=partial(_open_file, root / path),
                read=partial(_read_file, root / path),
            )


def declared_kitfile(folder: Path) -> Kitfile | None:
    """The Kitfile of a folder; None when it has none, or a faulty one."""
    try:
        return load_kitfile(find_kitfile(folder))
    except (KitpackError, OSError):
        return None


def _is_near(source: Source, descriptor: Descriptor) -> bool:
    """Whether content can be read without a network: what takes in bytes of its own is a store on this machine."""
    return source.is_near(descriptor) if isinstance(source, Nearest) else isinstance(source, Adds)


@contextmanager
def _open_layer(source: Source, layer: Layer) -> Iterator[tuple[Readable, int]]:
    with source.fetch(layer.descriptor) as raw:
        if layer.verbatim:
            yield raw, layer.descriptor.size
            return
        with closing(_members(raw, layer)) as members:
            for path, size, stream in members:
                if layer.archived and not path.lower().endswith(".gguf"):
                    raise IntegrityError(f"the archive {layer.path!r} does not begin with a GGUF file")
                yield stream, size if size >= 0 else _UNKNOWN_SIZE
                return
    raise IntegrityError(f"the archive {layer.path!r} is empty")


def _members(raw: Readable, layer: Layer) -> Generator[tuple[str, int, Readable], None, None]:
    for member in read_layer(raw, layer):
        if member.is_file:
            yield member.path, member.size, member.stream


def _read_layer(source: Source, layer: Layer, name: str, limit: int) -> bytes | None:
    if layer.verbatim:
        return fetch_bytes(source, layer.descriptor, limit)
    if layer.descriptor.size > _LARGEST_ARCHIVE:
        return None
    found = None
    limits = Limits(total_bytes=2 * _LARGEST_ARCHIVE)
    with source.fetch(layer.descriptor) as raw, VerifyingStream(raw, layer.descriptor) as proven:
        for member in read_layer(proven, layer, limits):
            if member.is_file and PurePosixPath(member.path).name == name and found is None:
                found = member.stream.read(limit + 1)
        proven.drain()
    return found


def _walk(root: Path) -> Iterator[str]:
    """Every path below a folder but those in hidden folders; of very many, the first ones."""
    left = _MOST_ENTRIES
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        above = f"{Path(parent).relative_to(root).as_posix()}/".removeprefix("./")
        for name in sorted(names):
            left -= 1
            if left < 0:
                return
            yield above + name


def _is_inside(location: Path, root: Path) -> bool:
    try:
        return stat.S_ISREG(location.stat().st_mode) and location.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _role_of(path: str, roles: Mapping[str, str] | None) -> str | None:
    """The role by the longest path that covers a file; None when the file is not packed."""
    if roles is None:
        return "model" if is_weight(path, b"") else ""
    owner = owner_of(path, roles)
    return None if owner is None else roles[owner]


def _begins_as_gguf(location: Path) -> bool:
    try:
        with location.open("rb") as file:
            return file.read(4) == b"GGUF"
    except OSError:
        return False


@contextmanager
def _open_file(location: Path) -> Iterator[tuple[Readable, int]]:
    with location.open("rb") as file:
        yield file, location.stat().st_size


def _read_file(location: Path, name: str, limit: int) -> bytes | None:  # noqa: ARG001  # one shape for all files
    return read_bounded(location, limit)
