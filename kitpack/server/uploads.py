"""Uploads: sessions in which bytes arrive, in one piece or in many, until they are proven to be a blob.

The bytes of a session stand in ``ingest/``, in a locked file that garbage collection leaves alone, and are hashed while
they arrive. As long as a session is open, the layout's lease is held. What may wait for the disk is called in threads.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

from kitpack.content.store.durable import start_sync, write_all
from kitpack.content.store.folder import INGEST
from kitpack.content.store.ingest import Draft, open_draft, settle
from kitpack.content.store.locks import is_same_file, try_exclusive
from kitpack.errors import StoreError
from kitpack.oci.digest import BLOCK, Digest
from kitpack.server.problems import RefusedError
from kitpack.server.served import Served

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["IDLE", "MOST_SESSIONS", "SPARED", "Session", "Uploads", "remove_leftovers"]

IDLE = 3600.0
"""Seconds after which a session is given up that nobody uses."""

SPARED = 60.0
"""Seconds for which a session is kept that nobody uses, even when there are too many."""

MOST_SESSIONS = 256
"""Sessions open at the same time: each keeps a file open."""

_SUFFIX = ".upload"


@dataclass(slots=True)
class Session:
    """One upload.

    Attributes:
        id: What finds it.
        repository: Where it began, and where it must go on.
        draft: Its file.
        hasher: The hash of what has arrived.
        used: When it was last used.
        size: The number of bytes that have arrived.
        is_busy: Whether a request is using it.
    """

    id: str
    repository: str
    draft: Draft
    hasher: _Hash
    used: float
    size: int = 0
    is_busy: bool = False
    held: ExitStack = field(default_factory=ExitStack)
    _lock: RLock = field(default_factory=RLock)
    _is_closed: bool = False

    def append(self, data: bytes) -> None:
        """Take in the next bytes.

        Raises:
            RefusedError: When the session has ended.
        """
        with self._open():
            write_all(self.draft.fd, data)
            self.hasher.update(data)
            self.size += len(data)

    def sync(self) -> None:
        """Let the disk have what has arrived, while more arrives.

        Raises:
            RefusedError: When the session has ended.
        """
        with self._open():
            fd = os.dup(self.draft.fd)  # so that nobody has to wait for this
        try:
            start_sync(fd)
        finally:
            os.close(fd)

    def publish(self, root: Path, wanted: Digest) -> None:
        """Let what has arrived become a blob.

        Raises:
            RefusedError: When the bytes have another digest, or the session has ended.
        """
        with self._open():
            found = self._digest(wanted.algorithm)
            if found != wanted:
                raise RefusedError(
                    400, "DIGEST_INVALID", f"{self.size} bytes arrived with the digest {found}; expected {wanted}"
                )
            settle(root, self.draft, wanted)

    def close(self) -> None:
        """Let go of the file and the lease, when no thread is using them any more."""
        with self._lock:
            self._is_closed = True
            self.held.close()

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Keep the file open: a number of a closed one could soon be that of another."""
        with self._lock:
            if self._is_closed:
                raise _unknown(self.id, self.repository)
            yield

    def _digest(self, algorithm: str) -> Digest:
        """The digest of everything that has arrived; read once more if it was hashed in another way."""
        if self.hasher.name == algorithm:
            return Digest(algorithm, self.hasher.hexdigest())
        hasher = hashlib.new(algorithm)
        os.lseek(self.draft.fd, 0, os.SEEK_SET)
        while block := os.read(self.draft.fd, BLOCK):
            hasher.update(block)
        return Digest(algorithm, hasher.hexdigest())


class Uploads:
    """All open sessions.

    Args:
        served: The layout.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._lock = Lock()
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, repository: str, algorithm: str = "sha256") -> Session:
        """Open a session, which its caller uses.

        Raises:
            RefusedError: When too many are open.
        """
        self._make_room()
        with ExitStack() as stack:
            stack.enter_context(self._served.layout.lease())
            draft = open_draft(self._served.root, _SUFFIX)
            stack.callback(_discard, draft)
            session = Session(
                str(uuid.uuid4()), repository, draft, hashlib.new(algorithm), self._served.clock(), is_busy=True
            )
            with self._lock:
                self._open[session.id] = session
            session.held = stack.pop_all()
        return session

    def find(self, repository: str, session_id: str) -> Session:
        """An open session, to look at.

        Raises:
            RefusedError: When there is none.
        """
        session = self._open.get(session_id)
        if session is None or session.repository != repository:
            raise _unknown(session_id, repository)
        return session

    def claim(self, repository: str, session_id: str) -> Session:
        """Take a session for one request, and use it alone until it is released.

        Raises:
            RefusedError: When there is no such session, or another request is using it.
        """
        with self._lock:
            session = self.find(repository, session_id)
            if session.is_busy:
                raise RefusedError(
                    409,
                    "BLOB_UPLOAD_INVALID",
                    "another request is still sending bytes in this upload; wait for it to end",
                )
            session.is_busy = True
        return session

    def release(self, session: Session) -> None:
        """Give a session back, so that the next request can use it."""
        with self._lock:
            session.used = self._served.clock()
            session.is_busy = False

    def finish(self, session: Session, wanted: Digest) -> None:
        """Let what has arrived become a blob. The session ends, whatever happens.

        Raises:
            RefusedError: When the bytes have another digest.
        """
        try:
            session.publish(self._served.root, wanted)
            self._served.expect_name(wanted)
        finally:
            self.drop(session)

    def drop(self, session: Session) -> None:
        """End a session and forget its bytes."""
        with self._lock:
            self._open.pop(session.id, None)
        session.close()

    def expire(self) -> None:
        """End the sessions that nobody has used for long."""
        since = self._served.clock() - IDLE
        for session in self._taken(lambda one: one.used <= since):
            self.drop(session)

    def close(self) -> None:
        """End all sessions."""
        with self._lock:
            left, self._open = list(self._open.values()), {}
        for session in left:
            session.close()

    def _make_room(self) -> None:
        """End a session when there are too many: one without a byte, or the one that was not used for longest.

        Clients open some only to see if they may.
        """
        if len(self._open) < MOST_SESSIONS:
            return
        since = self._served.clock() - SPARED
        spared = self._taken(lambda one: not one.size, most=1) or self._taken(lambda one: one.used <= since, most=1)
        for session in spared:
            self.drop(session)
        if not spared:
            raise RefusedError(
                429,
                "TOOMANYREQUESTS",
                f"{MOST_SESSIONS} uploads are open; finish or cancel some",
                headers={"Retry-After": str(round(SPARED))},
            )

    def _taken(self, chosen: Callable[[Session], bool], most: int = MOST_SESSIONS) -> list[Session]:
        """Take sessions that nobody uses out of the list, the ones first that were not used for longest."""
        with self._lock:
            idle = sorted(
                (one for one in self._open.values() if not one.is_busy and chosen(one)), key=lambda one: one.used
            )
            for session in idle[:most]:
                del self._open[session.id]
        return idle[:most]


def remove_leftovers(root: Path) -> int:
    """Remove the files of sessions whose server was killed, and return their number; those of running servers stay."""
    removed = 0
    with suppress(FileNotFoundError):
        for path in (root / INGEST).glob(f"*{_SUFFIX}"):
            removed += _remove_unlocked(path)
    return removed


def _remove_unlocked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # another user's, a link, or gone
    try:
        if not try_exclusive(fd, path) or not is_same_file(fd, path):
            return False
        path.unlink()
        return True
    except (OSError, StoreError):
        return False  # garbage collection will try again
    finally:
        os.close(fd)


def _unknown(session_id: str, repository: str) -> RefusedError:
    return RefusedError(
        404, "BLOB_UPLOAD_UNKNOWN", f"there is no upload {session_id[:80]!r} in {repository!r}; begin another"
    )


def _discard(draft: Draft) -> None:
    """Close a draft, and remove its file unless it has become a blob."""
    try:
        if is_same_file(draft.fd, draft.path):
            draft.path.unlink(missing_ok=True)
    finally:
        os.close(draft.fd)
