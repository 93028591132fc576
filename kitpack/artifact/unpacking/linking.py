"""Weights that take no room twice: a file in a folder that is a blob of the local store under a second name.

Only what nobody edits is linked, and both names are read-only: who wrote through one of them would change the other. To
change such a file, replace it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from kitpack.artifact.dialects import Layer
from kitpack.artifact.paths import printable
from kitpack.content.copy import blaming
from kitpack.content.events import Counted, Event, OnEvent
from kitpack.content.store.folder import blob_path
from kitpack.content.store.stored import open_blob
from kitpack.content.target import verified_blocks
from kitpack.errors import IntegrityError, NotFoundError, UnpackError

__all__ = ["is_linkable", "link_blob", "may_stay", "read_only", "refuse_unlinkable"]

READ_ONLY = 0o444

_EDITABLE = ("config", "template")
_EXECUTABLE = 0o111


def is_linkable(layer: Layer) -> bool:
    """Whether a layer is a file of weights: what people edit is never shared."""
    if layer.role not in {"model", "model-part"} or not layer.verbatim or layer.mode & _EXECUTABLE:
        return False
    return not any(word in layer.descriptor.media_type for word in _EDITABLE)


def read_only(layer: Layer) -> Layer:
    """The layer as it is unpacked when it is linked, if it can be."""
    return replace(layer, mode=READ_ONLY) if is_linkable(layer) else layer


def refuse_unlinkable(store: Path, layers: Iterable[Layer], staging: Path) -> None:
    """Make sure, before anything is fetched, that all weights can be linked.

    Args:
        store: The layout that they are linked from.
        layers: The layers of the bundle.
        staging: A folder on the file system that they are linked to.

    Raises:
        UnpackError: When some of them are not in the store, or the store is on another file system.
    """
    for layer in filter(is_linkable, layers):
        try:
            with open_blob(store, layer.descriptor.digest, layer.descriptor.size) as file:
                found = os.fstat(file.fileno())
        except (NotFoundError, IntegrityError):
            raise UnpackError(
                f"{printable(layer.path)} is not whole in {store}, so it cannot be linked from there",
                hint="`kitpack pull` the bundle first, or leave out --link",
            ) from None
        if found.st_dev != staging.stat().st_dev:
            raise _elsewhere(store, staging.parent)


def may_stay(location: Path, mode: int, blob: Path | None) -> bool:
    """Whether a file that has the right bytes may stay in its place.

    Args:
        location: The file.
        mode: The permission bits that it should have.
        blob: What it should be a link to; None when it should be a file of its own.

    Returns:
        True for that very blob; without one, for every file whose bits are right or may be changed: those of a file
        that has other names as well are not only its own.
    """
    found = location.lstat()
    if blob is None:
        return found.st_nlink == 1 or stat.S_IMODE(found.st_mode) == mode
    try:
        return os.path.samestat(found, blob.lstat())
    except FileNotFoundError:
        return False


def link_blob(store: Path, tree: Path, layer: Layer, on_event: OnEvent) -> None:
    """Give a blob, once it is proven, a second name.

    Args:
        store: The layout that it is in.
        tree: The folder below which the layer's path is the name.
        layer: The layer.
        on_event: Told about what is read.

    Raises:
        IntegrityError: When the blob is damaged.
        UnpackError: When the file system cannot link it.
    """
    descriptor, target = layer.descriptor, tree / layer.path
    target.parent.mkdir(parents=True, exist_ok=True)
    counted = Counted(partial(_open, store, layer), layer.path, descriptor.size, on_event)
    with blaming(layer.path), counted(0) as stream:
        for _ in verified_blocks(stream, descriptor):
            pass
        _link(store, blob_path(store, descriptor.digest), target)
    on_event(Event(kind="finished", name=layer.path, size=descriptor.size))


def _open(store: Path, layer: Layer, offset: int) -> BinaryIO:
    stream = open_blob(store, layer.descriptor.digest, layer.descriptor.size)
    stream.seek(offset)
    return stream


def _link(store: Path, blob: Path, target: Path) -> None:
    try:
        if stat.S_IMODE(blob.lstat().st_mode) != READ_ONLY:  # another tool wrote it
            blob.chmod(READ_ONLY)
        os.link(blob, target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise _elsewhere(store, target.parent) from None
        if error.errno not in (errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        raise UnpackError(
            f"{blob} cannot be linked: {error.strerror}", hint="leave out --link; then the weights are copied"
        ) from None


def _elsewhere(store: Path, folder: Path) -> UnpackError:
    return UnpackError(
        f"{folder} is on another file system than the store in {store}, so weights cannot be linked",
        hint="leave out --link, or keep the store there as well (KITPACK_HOME)",
    )
