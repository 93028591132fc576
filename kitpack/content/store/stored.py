"""Reading what a layout's folder holds, with suspicion: regular files only, of the right size, whole bundles only."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from kitpack.content.store.folder import blob_path, is_stored
from kitpack.content.target import Opener, verified_blocks
from kitpack.errors import IntegrityError, InvalidManifestError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import MAX_MANIFEST_SIZE, Manifest

__all__ = [
    "find_manifest",
    "first_missing",
    "intact_manifest",
    "may_be_elsewhere",
    "open_blob",
    "read_manifest",
    "receive_manifest",
]

_NOT_REGULAR = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO})
_ELSEWHERE = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")
_HINT = "`kitpack verify` lists everything that is damaged"


def may_be_elsewhere(descriptor: Descriptor) -> bool:
    """Whether content need not be beside its manifest: layers whose licence forbids it are fetched from their maker.

    Spec: https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers
    """
    return descriptor.media_type.startswith(_ELSEWHERE)


def open_blob(root: Path, digest: Digest, size: int | None = None) -> BinaryIO:
    """Open a blob for reading; the caller closes.

    Args:
        root: The layout.
        digest: Its digest, which is not proven here.
        size: Its number of bytes; None takes any.

    Raises:
        NotFoundError: When nothing stands there.
        IntegrityError: When what stands there is not a regular file, or has another size.
    """
    path = blob_path(root, digest)
    fd = _open(root, path, digest)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise IntegrityError(f"{path} is not a regular file", hint=_HINT)
        if size not in (None, found.st_size):
            raise IntegrityError(f"{path} has {found.st_size} bytes; expected {size}", hint=_HINT)
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def receive_manifest(descriptor: Descriptor, open_at: Opener) -> Manifest:
    """Read a manifest from anywhere, verified and parsed.

    Raises:
        IntegrityError: When the bytes are not what the descriptor says.
        InvalidManifestError: When they are not a manifest, or too many.
    """
    if descriptor.size > MAX_MANIFEST_SIZE:
        raise InvalidManifestError(f"a manifest of {descriptor.size} bytes exceeds the limit of {MAX_MANIFEST_SIZE}")
    with open_at(0) as stream:
        raw = b"".join(verified_blocks(stream, descriptor))
    return Manifest.parse(raw, descriptor.media_type, descriptor.digest)


def read_manifest(root: Path, descriptor: Descriptor) -> Manifest:
    """Read a manifest that is stored.

    Raises:
        NotFoundError: When it is not there.
        IntegrityError, InvalidManifestError: As :func:`receive_manifest`.
    """
    return receive_manifest(descriptor, lambda _: open_blob(root, descriptor.digest, descriptor.size))


def intact_manifest(root: Path, descriptor: Descriptor) -> Manifest | None:
    """The manifest that is stored, when it is there and is what it should be."""
    try:
        return read_manifest(root, descriptor)
    except (NotFoundError, IntegrityError, InvalidManifestError):
        return None


def find_manifest(root: Path, digest: Digest) -> Descriptor:
    """Describe a stored manifest of which only the digest is known; what it is, it says itself.

    Raises:
        NotFoundError: When nothing is stored under the digest, or no manifest.
        IntegrityError: When the bytes have another digest.
    """
    with open_blob(root, digest) as stream:
        raw = stream.read(MAX_MANIFEST_SIZE + 1)
    try:
        manifest = Manifest.parse(raw)
    except InvalidManifestError as error:
        raise NotFoundError(f"{digest} is in {root}, but is no manifest: {error.message}") from None
    if Digest.of_bytes(raw, digest.algorithm) != digest:
        raise IntegrityError(f"{blob_path(root, digest)} does not have the digest it is named after", hint=_HINT)
    return Descriptor(media_type=manifest.media_type, digest=digest, size=len(raw))


def first_missing(root: Path, top: Descriptor) -> Descriptor | None:
    """The first content that is not here, or is a damaged manifest, of all that a descriptor leads to."""
    left, seen = [top], set[Descriptor]()
    while left:
        one = left.pop().plain()
        if one in seen:
            continue
        seen.add(one)
        if not is_stored(blob_path(root, one.digest), one.size):
            if may_be_elsewhere(one):
                continue
            return one
        if one.is_manifest:
            manifest = intact_manifest(root, one)
            if manifest is None:
                return one
            left.extend(reversed(manifest.successors))
    return None


def _open(root: Path, path: Path, digest: Digest) -> int:
    try:  # without O_NONBLOCK, a FIFO in the place of a blob would keep us waiting
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"{digest} is not in {root}") from None
    except OSError as error:
        if error.errno in _NOT_REGULAR:
            raise IntegrityError(f"{path} is not a regular file", hint=_HINT) from None
        raise
