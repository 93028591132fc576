"""What is being served, in every log record that is written meanwhile.

::

    handler.addFilter(kitpack.IdentityFilter())
    logging.basicConfig(handlers=[handler], format="%(asctime)s %(kitpack)s %(message)s")
    with rendered.active():
        answer = client.chat(rendered.messages)         # what it logs carries the prompt's name, version and digest
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from kitpack.runtime.identity import Identity
from kitpack.runtime.telemetry import Attribute, annotate_span, identity_attributes

__all__ = ["IdentityFilter", "active_identity", "serving"]


@dataclass(frozen=True, slots=True)
class _Active:
    identity: Identity
    attributes: Mapping[str, Attribute]


_ACTIVE: ContextVar[_Active | None] = ContextVar("kitpack_active", default=None)


@contextmanager
def serving(identity: Identity, more: Mapping[str, Attribute] | None = None) -> Iterator[None]:
    """Say what is being served until the context ends, in this thread or asyncio task and in the tasks it starts.

    The current span of OpenTelemetry, if there is one, gets the attributes at once; it keeps them.

    Args:
        identity: What is being served.
        more: Further attributes, such as values that were asked for.
    """
    attributes = {**identity_attributes(identity), **(more or {})}
    token = _ACTIVE.set(_Active(identity, attributes))
    try:
        annotate_span(attributes)
        yield
    finally:
        _ACTIVE.reset(token)


def active_identity() -> Identity | None:
    """What is being served here and now."""
    active = _ACTIVE.get()
    return active.identity if active else None


class IdentityFilter(logging.Filter):
    """Adds what is being served to log records: its attributes under OpenTelemetry's names, and ``kitpack`` in short.

    It lets every record pass. Add it to handlers rather than loggers: a logger's filters do not see what its children
    write. ``%(kitpack)s`` is ``-`` while nothing is served, so that it can stand in any format.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """See :meth:`logging.Filter.filter`."""
        active = _ACTIVE.get()
        record.kitpack = str(active.identity) if active else "-"
        if active:
            record.__dict__.update(active.attributes)
        return True
