"""How far a transfer has come: bars, on a terminal only, and the number of bytes that moved."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kitpack.cli.render import one_line
from kitpack.content.events import Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kitpack.content.store.audit import Progress as OnProof

__all__ = ["Meter", "progress", "proof"]

_MAX_NAME = 40


class Meter:
    """Takes the events of a transfer, from several threads, and adds up what moved."""

    def __init__(self) -> None:
        self.moved = 0
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event."""
        with self._lock:
            if event.kind == "moved":
                self.moved += event.size
            self._show(event, "")

    def reading(self, event: Event) -> None:
        """Take an event about files that are read before anything moves."""
        with self._lock:
            self._show(event, "reading")

    def _show(self, event: Event, phase: str) -> None:
        """Nobody sits in front of it."""


class _Bars(Meter):
    """A bar for all that is read, one for all that moves, and one for each piece on its way."""

    def __init__(self, bars: Progress, what: str) -> None:
        super().__init__()
        self._bars = bars
        self._what = what
        self._totals: dict[str, TaskID] = {}
        self._sums: dict[str, int] = {}
        self._pieces: dict[str, TaskID] = {}

    def _show(self, event: Event, phase: str) -> None:
        if event.kind == "started":
            if phase not in self._totals:
                self._totals[phase] = self._bars.add_task(phase or self._what, total=0)
            self._sums[phase] = self._sums.get(phase, 0) + event.size
            self._bars.update(self._totals[phase], total=self._sums[phase])
            self._pieces[event.name] = self._bars.add_task(f"  {_tail(event.name)}", total=event.size)
        elif event.name in self._pieces and event.kind == "moved":
            self._bars.advance(self._totals[phase], event.size)
            self._bars.advance(self._pieces[event.name], event.size)
        elif event.name in self._pieces:
            self._bars.remove_task(self._pieces.pop(event.name))


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Meter]:
    """Count, and show bars while the context lasts; show nothing when nobody sits in front of it."""
    if quiet or not sys.stderr.isatty():
        yield Meter()
        return
    with _bars() as bars:
        yield _Bars(bars, what)


@contextmanager
def proof(what: str, *, quiet: bool = False) -> Iterator[OnProof]:
    """Show one bar that is told how many bytes of how many are proven."""
    if quiet or not sys.stderr.isatty():
        yield _ignore
        return
    with _bars() as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _ignore(done: int, total: int) -> None:
    """Show nothing."""


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _tail(name: str) -> str:
    """The end of a name, made harmless first: what is cut off an escape must not leave half of one."""
    safe = one_line(name)
    return safe if len(safe) <= _MAX_NAME else f"…{safe[1 - _MAX_NAME :]}"
