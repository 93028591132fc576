"""A registry asked with little patience, by somebody who asks again soon, and who may be told to end meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from kitpack.content.registry.repository import Repository
from kitpack.content.target import Target
from kitpack.settings import Settings

__all__ = ["impatient"]

_TRIES = 2
_TIMEOUTS = (3.0, 10.0)


def impatient(target: Target, settings: Settings, wait: Callable[[float], object]) -> Target:
    """The same place, with two tries and short time limits, on connections of its own; a layout is as it is.

    Args:
        target: The place.
        settings: Certificates and credentials.
        wait: Waits so many seconds before a second try, or less.
    """
    from kitpack.content.registry.transport import Transport  # late: it brings the HTTP library

    if not isinstance(target, Repository):
        return target

    def pause(seconds: float) -> None:
        wait(seconds)

    transport = Transport(target.registry, settings, timeouts=_TIMEOUTS, sleep=pause)
    transport.retry.tries = _TRIES
    return Repository(target.registry, target.name, settings, transport=transport)
