"""Progress, as values handed to whoever wants to show it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Literal, TypeAlias, cast

from kitpack.content.kernelcopy import send
from kitpack.content.target import Opener

__all__ = ["Counted", "Event", "OnEvent", "ignore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened to one piece of content.

    Attributes:
        kind: ``planned`` (it is missing at the other side, and has ``size`` bytes; told about all that is missing
            before the first of it moves), ``started`` (``size`` bytes of it are about to move: fewer than planned when
            an earlier attempt left some), ``moved`` (``size`` more bytes have moved; fewer than none when bytes that
            were lost move again), ``finished``, ``skipped`` (the other side has it already) or ``mounted`` (the
            registry took it over from another repository, and no bytes moved).
        name: What it is, for a person: a path or a short digest. The same in all events of one piece.
        size: A number of bytes, see ``kind``.
    """

    kind: Literal["planned", "started", "moved", "finished", "skipped", "mounted"]
    name: str
    size: int = 0


OnEvent: TypeAlias = Callable[[Event], None]
"""Takes events; called from several threads."""


def ignore(event: Event) -> None:
    """Take an event and show nothing."""


class Counted:
    """An opener that tells how far its reader has come, and afterwards whether anybody read at all.

    A second opening (a retry) takes back what the first one had counted, so that the sum never exceeds the size.
    """

    def __init__(self, open_at: Opener, name: str, size: int, on_event: OnEvent) -> None:
        self.opened = False
        self.name = name
        self.size = size
        self._open_at = open_at
        self._position = 0
        self._on_event = on_event

    def __call__(self, offset: int) -> BinaryIO:
        """Open the bytes at an offset."""
        stream = self._open_at(offset)
        try:
            if not self.opened:
                self.opened = True
                self._position = offset  # what an earlier process fetched does not move now
                self._on_event(Event(kind="started", name=self.name, size=self.size - offset))
            self._move_to(offset)
        except BaseException:  # whoever listens may want all of this to end
            stream.close()
            raise
        return cast("BinaryIO", _CountedStream(stream, offset, self._move_to))

    def fall_silent(self) -> OnEvent:
        """Tell nothing from now on: who reads the same bytes again, for another purpose, counts for themselves.

        Returns:
            Who was listening.
        """
        listener, self._on_event = self._on_event, ignore
        return listener

    def _move_to(self, position: int) -> None:
        self._on_event(Event(kind="moved", name=self.name, size=position - self._position))
        self._position = position


class _CountedStream(io.RawIOBase):
    """A stream that reports its position after every read."""

    def __init__(self, stream: BinaryIO, position: int, move_to: Callable[[int], None]) -> None:
        self._stream = stream
        self._position = position
        self._move_to = move_to

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._position += len(block)
        self._move_to(self._position)
        return block

    def send_to(self, fd: int, count: int) -> int:
        count = send(self._stream, fd, count)
        self._position += count
        self._move_to(self._position)
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
