"""Trying again: which failures pass by themselves, and how long to wait."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from datetime import UTC
from secrets import SystemRandom

from kitpack.runtime.calling.failures import Refusal
from kitpack.runtime.calling.provider import Retries

__all__ = ["asked_to_wait", "delay_before", "is_transient"]

_FOR_GOOD = frozenset({501, 505})
_USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})
_JITTER = 0.25
_MAX_HEADER = 100
_random = SystemRandom()


def is_transient(status: int, refusal: Refusal, headers: Mapping[str, str]) -> bool:
    """Whether another try may help: 429 and 5xx, unless the endpoint says that it does not.

    Args:
        status: The HTTP status.
        refusal: What the body says; an account that is used up stays so.
        headers: The headers of the answer, their names in lower case.
    """
    if headers.get("x-should-retry", "").strip().lower() == "false" or refusal.codes & _USED_UP:
        return False
    return status == 429 or (500 <= status < 600 and status not in _FOR_GOOD)


def asked_to_wait(headers: Mapping[str, str], now: float) -> float:
    """The seconds an endpoint asks to wait, 0 when it does not ask or cannot be understood.

    Args:
        headers: The headers of the answer, their names in lower case.
        now: Seconds since 1970.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()[:_MAX_HEADER]
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now, 0.0)
    except (ValueError, OverflowError, IndexError, TypeError):
        return 0.0


def delay_before(attempt: int, retries: Retries, asked: float = 0.0) -> float:
    """The seconds to wait before trying again: longer each time, varied, and at least what was asked for.

    Args:
        attempt: How many tries have failed, counted from 1.
        retries: How patient to be.
        asked: What the endpoint asked for.
    """
    delay = min(retries.longest, retries.first * 2.0 ** min(attempt - 1, 20))
    return max(delay * (1 + _random.uniform(-_JITTER, _JITTER)), asked)


def _number(text: str) -> float | None:
    text = text.strip()
    whole, _, part = text.partition(".")
    if not text.isascii() or not whole.isdigit() or (part and not part.isdigit()) or len(text) > 12:
        return None
    return float(text)
