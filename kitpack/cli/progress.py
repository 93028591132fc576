"""How far a transfer has come: bars, on a terminal only, and the number of bytes that moved."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kitpack.cli.render import human_size, one_line
from kitpack.content.events import Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kitpack.content.store.audit import Progress as OnProof

__all__ = ["Meter", "progress", "proof"]

_MAX_NAME = 40


class Meter:
    """Takes the events of a transfer, from several threads, and adds up the bytes of each kind.

    Attributes:
        moved: What moved.
        skipped: What the other side had already.
        mounted: What the registry took over from another of its repositories.
    """

    def __init__(self) -> None:
        self.moved = 0
        self.skipped = 0
        self.mounted = 0
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event."""
        with self._lock:
            if event.kind == "moved":
                self.moved += event.size
            elif event.kind == "skipped":
                self.skipped += event.size
            elif event.kind == "mounted":
                self.mounted += event.size
            self._show(event, "")

    def reading(self, event: Event) -> None:
        """Take an event about files that are read before anything moves."""
        with self._lock:
            self._show(event, "reading")

    def summary(self) -> str:
        """What happened, in a few words."""
        if not self.moved and not self.mounted:
            return "all of it was there already"
        parts = [f"{human_size(self.moved)} moved"]
        if self.mounted:
            parts.append(f"{human_size(self.mounted)} taken over from another repository")
        if self.skipped:
            parts.append(f"{human_size(self.skipped)} there already")
        return ", ".join(parts)

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
        self._planned: dict[tuple[str, str], int] = {}
        self._pieces: dict[tuple[str, str], TaskID] = {}

    def _show(self, event: Event, phase: str) -> None:
        key = (phase, event.name)
        if event.kind == "planned":
            self._planned[key] = event.size
            self._add(phase, event.size)
        elif event.kind == "started":
            self._add(phase, event.size - self._planned.pop(key, 0))
            name = f"  {_tail(event.name)}"
            self._pieces[key] = self._bars.add_task(name, total=event.size, note="")
        elif event.kind == "moved":
            if key in self._pieces:
                self._bars.advance(self._totals[phase], event.size)
                self._bars.advance(self._pieces[key], event.size)
        else:
            self._end(event, key)

    def _end(self, event: Event, key: tuple[str, str]) -> None:
        if key in self._pieces:
            self._bars.remove_task(self._pieces.pop(key))
        if event.kind == "finished":
            return
        self._add(key[0], -self._planned.pop(key, 0))
        there = [f"{human_size(self.skipped)} there already"] if self.skipped else []
        taken = [f"{human_size(self.mounted)} taken over"] if self.mounted else []
        self._bars.update(self._totals[key[0]], note=", ".join([*taken, *there]))

    def _add(self, phase: str, size: int) -> None:
        """Let there be so many bytes more to do."""
        if phase not in self._totals:
            self._totals[phase] = self._bars.add_task(phase or self._what, total=0, note="")
        self._sums[phase] = self._sums.get(phase, 0) + size
        self._bars.update(self._totals[phase], total=self._sums[phase])


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
        task = bars.add_task(what, total=None, note="")
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
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
        console=Console(stderr=True),
        transient=True,
    )


def _tail(name: str) -> str:
    """The end of a name, made harmless first: what is cut off an escape must not leave half of one."""
    safe = one_line(name)
    return safe if len(safe) <= _MAX_NAME else f"…{safe[1 - _MAX_NAME :]}"
