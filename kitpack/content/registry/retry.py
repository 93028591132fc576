"""Trying again: which failures pass by themselves, how often to try, and how long to wait.

Only :mod:`kitpack.content.registry.transport` and the upload of a blob (which must start over with a fresh session)
repeat anything, and both do it here.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from datetime import UTC
from itertools import count
from random import SystemRandom
from typing import TypeVar

from kitpack.errors import RegistryError

__all__ = ["TRANSIENT_STATUSES", "Retry", "TransientError", "retry_after"]

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

_FIRST_DELAY = 0.25
_LONGEST_DELAY = 3.0
_LONGEST_RETRY_AFTER = 60.0
_JITTER = 0.1
_MAX_HEADER = 100

_T = TypeVar("_T")


class TransientError(Exception):
    """A failure worth another try. It never leaves this package: what leaves is the error it carries.

    Args:
        error: What to raise when no try is left.
        wait: Seconds the server asked to wait, 0 when it did not ask.
    """

    def __init__(self, error: RegistryError, wait: float = 0.0) -> None:
        super().__init__(error.message)
        self.error = error
        self.wait = wait


class Retry:
    """How often and how patiently to try.

    Args:
        sleep: Waits so many seconds.
        tries: The number of tries in all.
    """

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep, tries: int = 5) -> None:
        self.sleep = sleep
        self.tries = tries
        self._random = SystemRandom()

    def run(self, operation: Callable[[], _T], tries: int | None = None) -> _T:
        """Repeat an operation until it succeeds, fails for good, or has been tried often enough.

        Args:
            operation: What to try.
            tries: How often, instead of the usual number.

        Raises:
            RegistryError: The failure of the last try.
        """
        for attempt in count():
            try:
                return operation()
            except TransientError as failure:
                if attempt + 1 >= (tries or self.tries):
                    raise failure.error from None
                self.pause(attempt, failure.wait)
        raise AssertionError  # pragma: no cover - count() never ends

    def pause(self, attempt: int, wait: float = 0.0) -> None:
        """Wait longer after each attempt, and at least as long as the server asked."""
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(attempt, 10))
        jitter = 1 + self._random.uniform(
            -_JITTER, _JITTER
        )  # so that clients thrown out together do not return together
        self.sleep(max(delay * jitter, wait))


def retry_after(value: str, now: float) -> float:
    """The seconds a ``Retry-After`` header asks to wait: 0 to 60, and 0 when it cannot be read.

    Args:
        value: The header: a number of seconds or an HTTP date.
        now: Seconds since 1970.
    """
    text = value.strip()[:_MAX_HEADER]
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_RETRY_AFTER)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError, IndexError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)
