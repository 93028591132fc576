"""One question and its answer, whole or in pieces, over any line: limits, and what counts as an answer.

Written as coroutines for those who have an event loop; over a line that waits in place they run without one.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import replace

from kitpack.errors import ModelError
from kitpack.oci.jsontext import JsonObject
from kitpack.runtime.calling.dialect import load_object, mended
from kitpack.runtime.calling.failures import Refusal, cut_off, failure, not_an_answer, redacted
from kitpack.runtime.calling.line import Line
from kitpack.runtime.calling.models import mismatch
from kitpack.runtime.calling.opening import Deadline, Opened, Question, open_answer
from kitpack.runtime.calling.provider import shown
from kitpack.runtime.calling.reply import Chunk, Reply
from kitpack.runtime.calling.sse import Events

__all__ = ["Incoming", "answered"]

_log = logging.getLogger(__name__)

_DONE = "[DONE]"


async def answered(line: Line, question: Question) -> Reply:
    """Ask, and return the whole answer.

    Raises:
        ModelError, ModelAuthError, ModelBusyError: When there is none.
    """
    deadline = Deadline(question)
    opened = await open_answer(line, question, deadline)
    try:
        return await _whole(question, opened, deadline)
    finally:
        await opened.arriving.close()


class Incoming:
    """An answer that is asked for and arrives in pieces. Nothing is sent before the first is awaited.

    Args:
        line: The way to the endpoint.
        question: What to ask.
    """

    def __init__(self, line: Line, question: Question) -> None:
        self._line, self._question = line, question
        self._events, self._assembly = Events(), question.dialect.assembly()
        self._ready: deque[Chunk] = deque()
        self._deadline: Deadline | None = None
        self._opened: Opened | None = None
        self._first: float | None = None
        self._held = ""
        self._size = 0
        self._over = False

    async def advance(self) -> Chunk | None:
        """The next piece; None after the last, which has the whole answer.

        Raises:
            ModelError, ModelAuthError, ModelBusyError: When there is no answer, or it breaks off.
        """
        while not self._ready and not self._over:
            await self._receive()
        return self._ready.popleft() if self._ready else None

    async def close(self) -> None:
        """Let the connection go, whether or not everything has arrived."""
        self._over = True
        if self._opened is not None:
            await self._opened.arriving.close()

    async def _receive(self) -> None:
        if self._opened is None or self._deadline is None:
            self._deadline = Deadline(self._question)
            self._opened = await open_answer(self._line, self._question, self._deadline)
            if "json" in self._opened.content_type or "html" in self._opened.content_type:
                await self._receive_whole(self._opened, self._deadline)
            return
        piece = await self._opened.arriving.read(self._deadline.left())
        self._size = _bounded(self._question, self._size + len(piece))
        for data in self._events.feed(piece):
            self._take(data, last=not piece)
            if self._over:
                return
        if not piece:
            self._end()

    async def _receive_whole(self, opened: Opened, deadline: Deadline) -> None:
        """Take an answer in one piece from a server that does not know how to stream."""
        reply = await _whole(self._question, opened, deadline)
        self._give(Chunk(text=reply.text, reasoning=reply.reasoning))
        self._finish(reply)

    def _take(self, data: str, *, last: bool) -> None:
        if data.strip() == _DONE:
            self._end(told=True)
            return
        event = load_object(data)
        if event is None:
            raise cut_off(self._question.url, "in the middle of an event" if last else "with an event that is not JSON")
        if event.get("error"):
            raise failure(self._question.provider, self._question.url, 200, Refusal.of(event))
        chunk = self._assembly.add(event)
        self._give(chunk)
        if self._assembly.ended:
            self._end(told=True)

    def _give(self, chunk: Chunk) -> None:
        """Hand out a piece. Half of a character waits for its other half, which some servers send by itself."""
        text, self._held = self._held + chunk.text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        if text or chunk.reasoning:
            if self._first is None and self._opened is not None:
                self._first = time.monotonic() - self._opened.since
            self._ready.append(Chunk(text=mended(text), reasoning=mended(chunk.reasoning)))

    def _end(self, *, told: bool = False) -> None:
        """Make the whole answer of what arrived, if the model has finished."""
        question = self._question
        answer = self._assembly.answer
        found = question.dialect.read(answer)
        if found is None or self._opened is None or not (told or self._assembly.complete):
            raise cut_off(question.url, "the stream ended before the model did" if self._size else "nothing came")
        self._finish(_completed(question, self._opened, found))

    def _finish(self, reply: Reply) -> None:
        self._ready.append(Chunk(reply=replace(reply, first_chunk=self._first)))
        self._over = True


async def _whole(question: Question, opened: Opened, deadline: Deadline) -> Reply:
    pieces: list[bytes] = []
    size = 0
    while piece := await opened.arriving.read(deadline.left()):
        size = _bounded(question, size + len(piece))
        pieces.append(piece)
    raw = b"".join(pieces)
    found = load_object(raw)
    if found is None:
        raise _not_json(question, opened, raw)
    if found.get("error"):
        raise failure(question.provider, question.url, 200, Refusal.of(found))
    reply = question.dialect.read(found)
    if reply is None:
        raise _no_content(question, found)
    return _completed(question, opened, reply)


def _bounded(question: Question, size: int) -> int:
    if size > question.provider.answer_limit:
        raise ModelError(f"{shown(question.url)} sends more than {question.provider.answer_limit} bytes in one answer")
    return size


def _not_json(question: Question, opened: Opened, raw: bytes) -> ModelError:
    if not raw.strip():
        return not_an_answer(question.url, "nothing")
    if "html" in opened.content_type or raw.lstrip()[:1] == b"<":
        return not_an_answer(question.url, "a page of HTML")
    if raw.lstrip()[:1] == b"{":
        return cut_off(question.url, "in the middle of the JSON")
    text = redacted(question.provider, raw[:200].decode("utf-8", "replace"))
    return not_an_answer(question.url, f"what is not JSON ({text})")


def _no_content(question: Question, found: JsonObject) -> ModelError:
    names = redacted(question.provider, ", ".join(list(found)[:10])) or "nothing at all"
    return not_an_answer(question.url, f"an answer without a message (it holds {names})")


def _completed(question: Question, opened: Opened, reply: Reply) -> Reply:
    """The answer with all that is known about it besides; what is odd about it goes to the log."""
    provider = question.provider
    differs = mismatch(reply.model, requested=question.requested, target=question.target)
    whole = replace(
        reply,
        requested=question.requested,
        provider=provider.name,
        latency=time.monotonic() - opened.since,
        tries=opened.tries,
        model_mismatch=redacted(provider, differs),
        ignored=question.ignored,
    )
    if whole.model_mismatch:
        _log.warning("%s: %s", provider.name, whole.model_mismatch)
    if whole.truncated:
        _log.warning("%s: the answer was cut off at the limit of its length", provider.name)
    if whole.ignored:
        _log.warning("%s has no parameter %s; not sent", provider.name, ", ".join(whole.ignored))
    return whole
