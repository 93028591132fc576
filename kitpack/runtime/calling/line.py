"""What a call needs of the network, whoever provides it, and how to wait in place for what is written to be awaited."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from kitpack.errors import ModelError
from kitpack.runtime.calling.provider import Timeouts

__all__ = ["Arriving", "Line", "NotConnectedError", "Sent", "at_once"]

T = TypeVar("T")


class NotConnectedError(Exception):
    """Nothing was sent, so that it may be sent again. It never leaves this package: what leaves is what it carries.

    Args:
        error: What to raise when no try is left.
    """

    def __init__(self, error: ModelError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request.

    Attributes:
        url: Where it goes.
        headers: All of them but those that every request has.
        body: JSON.
        timeouts: How long to wait; of ``total``, what is left.
        ca_file: See :class:`kitpack.runtime.calling.provider.Provider`.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    timeouts: Timeouts
    ca_file: Path | None = None


class Arriving(Protocol):
    """An answer whose body is still on the wire.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case.
    """

    status: int
    headers: Mapping[str, str]

    async def read(self, seconds: float) -> bytes:
        """The next bytes, none at the end. Where waiting can be interrupted, it is after so many seconds.

        Raises:
            ModelError: When the connection breaks.
        """

    async def close(self) -> None:
        """Let the connection go."""


class Line(Protocol):
    """A way to endpoints."""

    async def send(self, request: Sent) -> Arriving:
        """Send a request, and return when the headers of its answer are there. Redirects are not followed.

        Raises:
            NotConnectedError: When there was no connection, and there may be one soon.
            ModelError: When no answer came.
        """

    async def pause(self, seconds: float) -> None:
        """Wait."""


def at_once(work: Coroutine[object, None, T]) -> T:
    """Run a coroutine over a line that waits in place: it is done when it has been run once."""
    try:
        work.send(None)
    except StopIteration as ended:
        found: T = ended.value
        return found
    finally:
        work.close()
    raise AssertionError("it waits for an event loop")
