"""Making room for good bytes: a damaged blob is moved away, so that the next copy of its bundle brings it anew.

Nothing is deleted. What is moved stands in ``damaged/`` beside the blobs, where no reader of a layout looks.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from kitpack.content.store.durable import make_folders, sync_folder
from kitpack.content.store.folder import GC_LOCK, blob_path
from kitpack.content.store.layout import Layout
from kitpack.content.store.locks import exclusive
from kitpack.content.store.stored import open_blob
from kitpack.errors import IntegrityError, NotFoundError, StoreError
from kitpack.oci.digest import BLOCK, Digest

__all__ = ["DAMAGED", "Moved", "quarantine"]

DAMAGED = "damaged"
"""The folder of a layout for what was moved away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A damaged blob that was moved away.

    Attributes:
        digest: What it was taken for.
        source: Where it stood.
        path: Where it is now.
    """

    digest: Digest
    source: Path
    path: Path


def quarantine(layout: Layout, digests: Iterable[Digest]) -> list[Moved]:
    """Move blobs away that are not what their names say. Each is read again before: what is good stays.

    Args:
        layout: The layout, which nobody else may be using.
        digests: The blobs that were found to be damaged.

    Returns:
        What was moved; not what is missing, is good after all, or may not be read.

    Raises:
        StoreError: When the layout is in use; nothing is moved then.
    """
    layout.index()  # a folder that is no layout gets no lock file
    busy = StoreError(f"{layout.path} is in use by another process or thread", hint="let it finish, then repair again")
    with exclusive(layout.path / GC_LOCK, busy=busy):
        return [_move(layout.path, digest) for digest in dict.fromkeys(digests) if _is_damaged(layout.path, digest)]


def _is_damaged(root: Path, digest: Digest) -> bool:
    hasher = digest.hasher()
    try:
        with open_blob(root, digest) as file:
            while block := file.read(BLOCK):
                hasher.update(block)
    except NotFoundError:
        return False
    except IntegrityError:  # a link, a folder, a pipe
        return True
    except OSError as error:
        return error.errno == errno.EIO  # a disk that is broken; being kept from reading proves nothing
    return not digest.matches(hasher)


def _move(root: Path, digest: Digest) -> Moved:
    source, folder = blob_path(root, digest), root / DAMAGED
    make_folders(folder)
    target = _free(folder / f"{digest.algorithm}-{digest.hex}")
    source.rename(target)
    sync_folder(folder)
    sync_folder(source.parent)
    return Moved(digest=digest, source=source, path=target)


def _free(path: Path) -> Path:
    """The name, or with a number behind it when the same content was damaged before."""
    names = (path if number == 1 else path.with_name(f"{path.name}.{number}") for number in count(1))
    return next(name for name in names if not _is_taken(name))


def _is_taken(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True
