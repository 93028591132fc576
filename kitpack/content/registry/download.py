"""Reading content from a registry over connections that break: every break is resumed where it happened."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, BinaryIO, cast

from kitpack.content.registry.exchange import Answer
from kitpack.content.registry.lanes import Lanes, NoRangesError, Parts
from kitpack.content.registry.retry import TransientError
from kitpack.errors import IntegrityError, RegistryError, UnreachableError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import BLOCK

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["open_download"]

_MAX_FRUITLESS = 5
_MAX_RESUMPTIONS = 10_000
_MAX_CONTENT_RANGE = 100

# A server that sends a byte now and then is never silent for long enough to be given up for that.
_SMALL = 4 << 20
_PATIENCE = 300.0  # seconds for small content in all
_WINDOW = 60.0  # seconds of waiting after which it is judged how much arrived meanwhile
_LEAST_RATE = 1000  # bytes a second

# Several connections gain nothing where one fills the line, as on this machine: so the rate of one is measured first.
_TRIAL = 1.0  # seconds of waiting after which it is judged
_FAST = 100 << 20  # bytes a second that a single connection need not exceed
_LARGE = 64 << 20  # bytes left for which it is worth the trouble
_GAIN = 1.25  # by what factor several must be faster to stay


def open_download(
    descriptor: Descriptor,
    offset: int,
    ask: Callable[[Mapping[str, str]], Answer],
    pause: Callable[[int], None],
    clock: Callable[[], float] = time.monotonic,
    lanes: Lanes | None = None,
) -> BinaryIO:
    """Open content from a byte offset on.

    The size is checked on the way; the digest is for the reader to check, who may start in the middle.

    Args:
        descriptor: What is read.
        offset: The first byte wanted.
        ask: Requests the content with these headers and returns an answer of status 200 or 206.
        pause: Waits before the so-many-th fruitless try, counted from 0.
        clock: Seconds that only grow.
        lanes: The connections that may be used for parts of large content, at registries that send them; by default
            one.

    Raises:
        IntegrityError: When the registry announces another size or sends other bytes than those asked for.
        RegistryError: When it sends them too slowly, here or while they are read.
    """
    if lanes is None or descriptor.size - offset < _LARGE:
        download = _Download(descriptor, offset, ask, pause, clock)
    else:
        download = _WideDownload(descriptor, offset, ask, pause, clock, lanes)
    download.begin()
    return cast("BinaryIO", download)


class _Download(io.BufferedIOBase):
    """A stream that opens the rest again when its connection breaks.

    ``read`` fills its block; what a broken connection delivered before it broke is never lost, because every piece is
    counted as it arrives.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        offset: int,
        ask: Callable[[Mapping[str, str]], Answer],
        pause: Callable[[int], None],
        clock: Callable[[], float],
        stop: int | None = None,
    ) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._stop = descriptor.size if stop is None else stop
        self._position = offset
        self._ask = ask
        self._pause = pause
        self._clock = clock
        self._began = clock()
        self._waited = 0.0
        self._arrived = 0
        self._answer: Answer | None = None
        self._fruitless = 0
        self._slow = 0
        self._resumptions = 0

    def begin(self) -> None:
        """Ask for the first byte now, so that what is not there is noticed at once."""
        if self._position < self._stop or self._position == 0:
            try:
                self._answer = self._open()
            except TransientError as failure:
                self._resume(failure)

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position in the whole content."""
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Read a block, short only at the end."""
        wanted = self._descriptor.size + 1 if size is None or size < 0 else size
        first = self.read1(wanted)
        if len(first) == wanted or not first:
            return first
        parts, left = [first], wanted - len(first)
        while left and (part := self.read1(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        """Read what arrives next."""
        if self.closed:
            raise ValueError("the download is closed")
        limit = BLOCK if size < 0 else min(size, BLOCK)
        while limit and self._answer is not None:
            try:
                piece = self._next_piece(self._answer, limit)
            except TransientError as failure:
                self._resume(failure)
                continue
            if piece:
                return self._counted(piece)
            if self._position >= self._stop:
                break
            self._resume(None)
        return b""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read a block into memory that is there already."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Give up the connection."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        super().close()

    def _counted(self, piece: bytes) -> bytes:
        self._position += len(piece)
        self._fruitless = 0
        if self._position > self._stop:
            raise IntegrityError(
                f"{self._descriptor.digest}: more bytes arrived than the {self._descriptor.size} expected"
            )
        return piece

    def _next_piece(self, answer: Answer, limit: int) -> bytes:
        """What arrives next, while it arrives fast enough; only waiting for the server counts, not what is done here.

        Raises:
            TransientError: When the connection breaks, or as good as breaks.
            RegistryError: When small content takes minutes.
        """
        before = self._clock()
        piece = answer.read1(limit)
        now = self._clock()
        self._require_patience(now)
        self._waited += now - before
        self._arrived += len(piece)
        if self._waited >= _WINDOW:
            enough = self._arrived >= self._waited * _LEAST_RATE
            self._slow = 0 if enough else self._slow + 1
            self._waited, self._arrived = 0.0, 0
            if not enough and len(piece) < self._stop - self._position:  # this piece is asked for again
                text = f"{self._descriptor.digest}: fewer than {_LEAST_RATE} bytes a second arrive"
                raise TransientError(UnreachableError(text, hint="try again: what arrived is kept"))
        return piece

    def _require_patience(self, now: float) -> None:
        if self._descriptor.size <= _SMALL and now - self._began > _PATIENCE:
            self._abandon()
            raise RegistryError(
                f"{self._descriptor.digest}: its {self._descriptor.size} bytes arrive too slowly; "
                f"given up after {_PATIENCE:.0f} s"
            )

    def _resume(self, failure: TransientError | None) -> None:
        """Open the rest, as long as breaks are worth it."""
        while True:
            self._abandon()
            if max(self._fruitless, self._slow) >= _MAX_FRUITLESS or self._resumptions >= _MAX_RESUMPTIONS:
                raise self._given_up(failure)
            self._require_patience(self._clock())
            self._waited, self._arrived = 0.0, 0
            self._pause(self._fruitless)
            self._fruitless += 1
            self._resumptions += 1
            try:
                self._answer = self._open()
            except TransientError as again:
                failure = again
            else:
                return

    def _abandon(self) -> None:
        """Give up a connection from which nothing good comes any more."""
        if self._answer is not None:
            self._answer.abandon()
            self._answer = None

    def _given_up(self, failure: TransientError | None) -> Exception:
        if failure is not None:
            return failure.error
        missing = self._stop - self._position
        return IntegrityError(
            f"{self._descriptor.digest}: {self._descriptor.size} bytes were expected, the last {missing} never arrive"
        )

    def _open(self) -> Answer:
        last = self._stop - 1 if self._stop < self._descriptor.size else ""
        headers = {"Range": f"bytes={self._position}-{last}"} if self._position or last else {}
        answer = self._ask(headers)
        try:
            if answer.status == 206:
                self._check_range(answer)
            elif last:
                raise NoRangesError
            else:
                self._check_size(answer, self._descriptor.size)
                self._skip(answer, self._position)
        except BaseException:
            answer.abandon()
            raise
        return answer

    def _check_range(self, answer: Answer) -> None:
        size = self._descriptor.size
        found = answer.headers.get("Content-Range", "")[:_MAX_CONTENT_RANGE]
        span, _, total = found.partition("/")
        if span != f"bytes {self._position}-{self._stop - 1}" or total not in {str(size), "*"}:
            raise IntegrityError(
                f"{self._descriptor.digest}: bytes {self._position}-{self._stop - 1}/{size} were asked for, "
                f"{found!r} was announced"
            )
        self._check_size(answer, self._stop - self._position)

    def _check_size(self, answer: Answer, expected: int) -> None:
        if answer.size is not None and answer.size != expected:
            raise IntegrityError(f"{self._descriptor.digest}: expected {expected} bytes, {answer.size} were announced")

    def _skip(self, answer: Answer, count: int) -> None:
        """Drop the bytes had already, from a registry that knows no ranges."""
        while count:
            piece = self._next_piece(answer, min(count, BLOCK))
            if not piece:
                raise IntegrityError(f"{self._descriptor.digest}: the answer ends before the bytes that are missing")
            count -= len(piece)


class _WideDownload(_Download):
    """A stream that goes on over several connections when its one connection proves to be slow."""

    def __init__(
        self,
        descriptor: Descriptor,
        offset: int,
        ask: Callable[[Mapping[str, str]], Answer],
        pause: Callable[[int], None],
        clock: Callable[[], float],
        lanes: Lanes,
    ) -> None:
        super().__init__(descriptor, offset, ask, pause, clock)
        self._lanes = lanes
        self._granted = 0
        self._parts: Parts | None = None
        self._rate = 0.0
        self._is_settled = False
        lanes.enter()

    def read1(self, size: int = -1, /) -> bytes:
        """Read what arrives next."""
        if self._parts is None or self.closed:
            piece = super().read1(size)
            self._consider_widening()
            return piece
        try:
            piece = self._parts.read1(BLOCK if size < 0 else min(size, BLOCK))
        except NoRangesError:
            self._narrow()
            return self.read1(size)
        self._position += len(piece)
        self._judge(self._parts)
        return piece

    def close(self) -> None:
        """Give up all connections."""
        if not self.closed:
            self._give_back()
            self._lanes.leave()
        super().close()

    def _consider_widening(self) -> None:
        """Judge one connection, once."""
        answer = self._answer
        if self._is_settled or answer is None or self._waited < _TRIAL:
            return
        self._is_settled = True
        self._rate = self._arrived / self._waited
        accepts = answer.status == 206 or answer.headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        if self._rate > _FAST or not accepts or self._stop - self._position < _LARGE:
            return
        self._granted = self._lanes.widen()
        if self._granted:
            self._abandon()
            self._parts = Parts(self._fetch_part, self._position, self._stop, self._granted + 1)

    def _fetch_part(self, start: int, stop: int) -> bytes:
        with _Download(self._descriptor, start, self._ask, self._pause, self._clock, stop) as part:
            part.begin()
            return part.read(stop - start)

    def _judge(self, parts: Parts) -> None:
        """Go back to one connection at the end, or when several are not faster."""
        if parts.waited >= 2 * _TRIAL and parts.arrived < parts.waited * self._rate * _GAIN:
            parts.ask_no_more()
        if parts.is_empty:
            self._narrow()

    def _narrow(self) -> None:
        self._give_back()
        if self._position < self._stop:
            self._resume(None)

    def _give_back(self) -> None:
        if self._parts is not None:
            self._parts.close()
            self._parts = None
            self._lanes.leave(self._granted)
            self._granted = 0
