"""Server-sent events: bytes that arrive in any pieces, and the events they are.

Spec: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Events"]

_BOM = b"\xef\xbb\xbf"


class Events:
    """The events of one stream.

    Lines are cut at the level of bytes, where no line end can be part of another character, and decoded when they are
    whole, so that no cut of the network falls into a character. Comments and fields that no API uses are passed over.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._data: list[str] = []
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data of the events that are complete with this piece.

        Args:
            piece: The next bytes; none at all when the stream has ended, which completes the last event.
        """
        self._rest.append(piece)
        if piece and b"\n" not in piece and b"\r" not in piece:
            return
        lines, rest = _lines(b"".join(self._rest), last=not piece)
        self._rest = [rest]
        for line in lines:
            if not self._begun:
                self._begun, line = True, line.removeprefix(_BOM)  # noqa: PLW2901
            if not line:
                yield from self._dispatch()
            elif (name := line.partition(b":")[0]) == b"data":
                value = line[len(name) + 1 :]
                self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        if not piece:
            yield from self._dispatch()

    def _dispatch(self) -> Iterator[str]:
        data, self._data = self._data, []
        if data:
            yield "\n".join(data)


def _lines(text: bytes, *, last: bool) -> tuple[list[bytes], bytes]:
    r"""The complete lines, and what is left. A ``\r`` at the very end may be half of a ``\r\n``."""
    kept = b""
    if text.endswith(b"\r") and not last:
        text, kept = text[:-1], b"\r"
    *lines, rest = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if last and rest:
        lines, rest = [*lines, rest], b""
    return lines, rest + kept
