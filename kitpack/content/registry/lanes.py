"""One large blob over several connections at once, for networks where one connection alone does not fill the line.

The blob is fetched in parts that are handed out in order, so whoever reads it sees a stream like any other. Memory
holds one part for each connection, and the one that is being read.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["PART", "Lanes", "NoRangesError", "Parts"]

PART = 8 << 20
"""Bytes fetched in one request: long enough that asking costs nothing, short enough to be kept in memory."""

MOST = 4
"""Connections for one repository's large blobs."""


class NoRangesError(Exception):
    """A server that announced ranges sends none."""


class Lanes:
    """How many connections are in use, of those that may be. Safe to share between threads.

    Args:
        total: Connections for all downloads together; a download's first one is always granted.
    """

    def __init__(self, total: int) -> None:
        self._free = min(total, MOST)
        self._lock = threading.Lock()

    def enter(self) -> None:
        """A download begins."""
        with self._lock:
            self._free -= 1

    def widen(self) -> int:
        """Take all connections that are free, and return their number."""
        with self._lock:
            granted = max(self._free, 0)
            self._free -= granted
            return granted

    def leave(self, count: int = 1) -> None:
        """Give connections back."""
        with self._lock:
            self._free += count


class Parts:
    """The bytes of a range, fetched in parts by several threads and handed out in order.

    Args:
        fetch: Fetches the bytes from a position up to another.
        start: Where the range begins.
        stop: Where it ends.
        lanes: The number of connections.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], start: int, stop: int, lanes: int) -> None:
        from concurrent.futures import ThreadPoolExecutor  # late: it is slow to import

        self._fetch = fetch
        self._next = start
        self._stop = stop
        self._lanes = lanes
        self._pool: ThreadPoolExecutor = ThreadPoolExecutor(lanes, thread_name_prefix="kitpack-part")
        self._coming: deque[Future[bytes]] = deque()
        self._part = memoryview(b"")
        self.waited = 0.0
        self.arrived = 0
        self._ask_for_more()

    @property
    def is_empty(self) -> bool:
        """Whether all that was asked for has been handed out."""
        return not self._part and not self._coming

    def read1(self, limit: int) -> bytes:
        """The next bytes.

        Raises:
            NoRangesError: When the server does not send parts.
            RegistryError, IntegrityError: When one cannot be fetched.
        """
        if not self._part and self._coming:
            before = time.monotonic()
            data = self._coming.popleft().result()
            self.waited += time.monotonic() - before
            self.arrived += len(data)
            self._part = memoryview(data)
            self._ask_for_more()
        piece, self._part = bytes(self._part[:limit]), self._part[limit:]
        return piece

    def ask_no_more(self) -> None:
        """Let what has been asked for be the last."""
        self._stop = self._next

    def close(self) -> None:
        """Give up. A part on its way is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._coming.clear()

    def _ask_for_more(self) -> None:
        while len(self._coming) < self._lanes and self._next < self._stop:
            stop = min(self._next + PART, self._stop)
            self._coming.append(self._pool.submit(self._fetch, self._next, stop))
            self._next = stop
