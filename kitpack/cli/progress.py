"""Progress bars, on a terminal only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kitpack.content.events import Event, OnEvent, ignore

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["progress"]


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[OnEvent]:
    """Show a bar per piece of content while the context lasts; show nothing when nobody sits in front of it."""
    if quiet or not sys.stderr.isatty():
        yield ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars, what)


class _Bars:
    """One bar for the whole, and one for each piece on its way."""

    def __init__(self, bars: Progress, what: str) -> None:
        self._bars = bars
        self._total = bars.add_task(what, total=0)
        self._pieces: dict[str, TaskID] = {}
        self._sum = 0
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event; called from several threads."""
        with self._lock:
            if event.kind == "started":
                self._sum += event.size
                self._bars.update(self._total, total=self._sum)
                self._pieces[event.name] = self._bars.add_task(f"  {event.name[-40:]}", total=event.size)
            elif event.kind == "moved":
                self._bars.advance(self._total, event.size)
                if event.name in self._pieces:
                    self._bars.advance(self._pieces[event.name], event.size)
            elif event.name in self._pieces:
                self._bars.remove_task(self._pieces.pop(event.name))
