"""Where work runs that may wait for the disk, a lock or a hash, so that the event loop never does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

__all__ = ["Threads"]

R = TypeVar("R")


class Threads:
    """One pool for reading, one for changes, which may have to wait for others, and small ones for the rest.

    Attributes:
        copies: How many blobs may pass through memory at the same time.
    """

    def __init__(self) -> None:
        self.copies = asyncio.Semaphore(8)
        self._reads = ThreadPoolExecutor(8, "kitpack-serve-read")
        self._writes = ThreadPoolExecutor(8, "kitpack-serve-write")
        self._syncs = ThreadPoolExecutor(4, "kitpack-serve-sync")
        self._checks = ThreadPoolExecutor(2, "kitpack-serve-check")
        self._log = ThreadPoolExecutor(1, "kitpack-serve-log")

    async def read(self, work: Callable[[], R]) -> R:
        """Run something that only reads."""
        return await _run(self._reads, work)

    async def write(self, work: Callable[[], R]) -> R:
        """Run something that changes the layout, or takes its locks."""
        return await _run(self._writes, work)

    async def sync(self, work: Callable[[], R]) -> R:
        """Run something that does nothing but wait for the disk."""
        return await _run(self._syncs, work)

    async def check(self, work: Callable[[], R]) -> R:
        """Run something that computes for long."""
        return await _run(self._checks, work)

    def tell(self, log: Callable[[str], None], line: str) -> None:
        """Report a line, one after the other, without waiting for whoever reads them."""
        with suppress(RuntimeError):  # after the end
            self._log.submit(log, line)

    def close(self, *, wait: bool) -> None:
        """End the threads; without waiting, they end when their work does."""
        for pool in (self._reads, self._writes, self._syncs, self._checks):
            pool.shutdown(wait=wait, cancel_futures=True)
        self._log.shutdown(wait=wait)


async def _run(pool: Executor, work: Callable[[], R]) -> R:
    return await asyncio.get_running_loop().run_in_executor(pool, work)
