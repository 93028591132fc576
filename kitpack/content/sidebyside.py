"""Work on several blobs at the same time, all or nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from kitpack.content.events import Event, OnEvent

__all__ = ["cores", "side_by_side"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Work: TypeAlias = Callable[[Item, OnEvent], Result]


class _Stopped(Exception):  # noqa: N818  # not an error: the message by which one thread ends the others
    """Another piece of work failed, so this one need not go on."""


def cores() -> int:
    """How many pieces of work this process can really do at the same time."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def side_by_side(work: Work[Item, Result], items: Iterable[Item], jobs: int, on_event: OnEvent) -> list[Result]:
    """Do the same work on every item, ``jobs`` of them at a time.

    After the first failure, or when the user interrupts, nothing new begins, and what runs ends at its next event.

    Returns:
        The results in the order of the items.

    Raises:
        BaseException: The first failure, as it was.
    """
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait  # late: it is slow to import

    stop = threading.Event()
    failures: list[BaseException] = []

    def report(event: Event) -> None:
        if stop.is_set():
            raise _Stopped
        on_event(event)

    def run(item: Item) -> Result:
        if stop.is_set():
            raise _Stopped
        try:
            return work(item, report)
        except BaseException as failure:
            failures.append(failure)
            stop.set()
            raise

    pool = ThreadPoolExecutor(max_workers=jobs)
    futures = [pool.submit(run, item) for item in items]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
    except BaseException:  # an interrupt does not wait for a peer that may never answer
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown(wait=True, cancel_futures=True)
    if failures:
        raise failures[0]
    return [future.result() for future in futures]
