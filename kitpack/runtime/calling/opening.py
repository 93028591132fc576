"""Asking until an answer begins: tries, patience, redirects, and what a refusal means."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from itertools import count
from urllib.parse import urljoin

from kitpack.errors import KitpackError, ModelError
from kitpack.runtime.calling.dialect import Dialect
from kitpack.runtime.calling.failures import MAX_ERROR_BODY, Refusal, failure, not_an_answer, redacted
from kitpack.runtime.calling.line import Arriving, Line, NotConnectedError, Sent
from kitpack.runtime.calling.provider import Provider, origin_of, shown
from kitpack.runtime.calling.retry import asked_to_wait, delay_before, is_transient

__all__ = ["Deadline", "Opened", "Question", "open_answer"]

_log = logging.getLogger(__name__)

_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEPT = frozenset({307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, of whom, ready to be sent.

    Attributes:
        provider: Who is asked.
        dialect: The API it speaks.
        body: The request as JSON.
        stream: Whether the answer comes in pieces.
        requested: The model asked for.
        target: What the prompt was tuned for.
        ignored: Parameters that are not in the request.
    """

    provider: Provider
    dialect: Dialect
    body: bytes
    stream: bool = False
    requested: str = ""
    target: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where it goes."""
        return self.provider.base_url + self.dialect.path


class Deadline:
    """When everything has to be over: the tries, the waiting between them, and the answer.

    Args:
        question: What is asked now.
    """

    def __init__(self, question: Question) -> None:
        self._total, self._url = question.provider.timeouts.total, question.url
        self._end = time.monotonic() + self._total

    def left(self) -> float:
        """The seconds that are left.

        Raises:
            ModelError: When none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise ModelError(
                f"{shown(self._url)} gave no whole answer within {self._total:g} seconds",
                hint="allow more time, or ask for a shorter answer (max_tokens)",
            )
        return left


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An answer that begins to arrive.

    Attributes:
        arriving: The answer.
        since: When it was asked for, on the monotonic clock.
        tries: How often it had to be asked for.
    """

    arriving: Arriving
    since: float
    tries: int

    @property
    def content_type(self) -> str:
        """The type of its body, in lower case."""
        return self.arriving.headers.get("content-type", "").lower()


async def open_answer(line: Line, question: Question, deadline: Deadline) -> Opened:
    """Ask until an answer begins, as often as it makes sense.

    Raises:
        ModelError, ModelAuthError, ModelBusyError: When none does.
    """
    retries = question.provider.retries
    for attempt in count(1):
        since = time.monotonic()
        asked = 0.0
        try:
            arriving = await _followed(line, question, deadline)
        except NotConnectedError as failed:
            error = failed.error
        else:
            if 200 <= arriving.status < 300:
                return Opened(arriving=await _readable(question, arriving), since=since, tries=attempt)
            error, transient, asked = await _refused(question, arriving, deadline)
            if not transient:
                raise error
        wait = delay_before(attempt, retries, asked)
        if attempt >= retries.tries or asked > retries.patience or wait >= deadline.left():
            raise _given_up(error, attempt, asked)
        _log.info("%s; trying again in %.1f s", error.message, wait)
        await line.pause(wait)
    raise AssertionError  # pragma: no cover - count() never ends


async def _followed(line: Line, question: Question, deadline: Deadline) -> Arriving:
    """Send the question, also to where the endpoint moved it in the same place. The key goes no further."""
    url = question.url
    for _ in range(_MAX_REDIRECTS + 1):
        arriving = await line.send(_sent(question, url, deadline))
        location = arriving.headers.get("location", "")
        if arriving.status not in _REDIRECTS or not location:
            return arriving
        await arriving.close()
        target = urljoin(url, location)
        if arriving.status not in _KEPT or not _same_place(url, target):
            raise ModelError(
                f"{shown(url)} leads to {shown(redacted(question.provider, target))}, where nothing is sent",
                hint="if that is the right place, name it as the address",
                status=arriving.status,
            )
        url = target
    raise ModelError(f"{shown(question.url)}: more than {_MAX_REDIRECTS} redirects")


def _sent(question: Question, url: str, deadline: Deadline) -> Sent:
    provider = question.provider
    accept = "text/event-stream, application/json" if question.stream else "application/json"
    return Sent(
        url=url,
        headers={**provider.headers, **question.dialect.headers(provider), "Accept": accept},
        body=question.body,
        timeouts=replace(provider.timeouts, total=deadline.left()),
        ca_file=provider.ca_file,
    )


def _same_place(one: str, other: str) -> bool:
    try:
        return origin_of(one) == origin_of(other)
    except KitpackError:
        return False


async def _readable(question: Question, arriving: Arriving) -> Arriving:
    encoding = arriving.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"identity", ""}:
        return arriving
    await arriving.close()
    raise not_an_answer(question.url, f"{redacted(question.provider, encoding)} though plain bytes were asked for")


async def _refused(question: Question, arriving: Arriving, deadline: Deadline) -> tuple[ModelError, bool, float]:
    """The error that an answer means, whether another try may help, and the seconds to wait before it."""
    raw = b""
    try:
        while len(raw) < MAX_ERROR_BODY and (piece := await arriving.read(deadline.left())):
            raw += piece
    except ModelError:
        _log.debug("the body of the refusal did not arrive whole")
    finally:
        await arriving.close()
    plain = arriving.headers.get("content-encoding", "identity").strip().lower() in {"identity", ""}
    refusal = Refusal.parse(raw, arriving.headers.get("content-type", "")) if plain else Refusal()
    error = failure(question.provider, question.url, arriving.status, refusal)
    return error, is_transient(arriving.status, refusal, arriving.headers), asked_to_wait(arriving.headers, time.time())


def _given_up(error: ModelError, attempt: int, asked: float) -> ModelError:
    if asked:
        error.hint = f"it asks to wait {asked:.0f} seconds"
    if attempt > 1:
        error.message += f", {attempt} times"
        error.args = (error.message,)
    return error
