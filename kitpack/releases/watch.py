"""A channel looked at again and again: what it costs, and how soon a change is seen.

A look makes one request, a HEAD of the channel's tag: its answer names the digest, so a conditional GET would save
nothing. Routes change while the tag stays where it is, so whoever wants those asks in a second request which tags come
after the last known record: one page of at most :data:`PAGE` tags, however long the log is. Only when that names a
record that is not known yet, it is read. So a look costs two small requests while nothing happens, and a third one
after a change of routes.

Some registries (docker-registry 2.8, for one) answer that question with all their tags. They are asked only with every
:data:`COSTLY_EVERY`-th look, and whenever the tag has moved: there, and there only, a change of routes is seen that
much later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from secrets import SystemRandom

from kitpack.content.target import ListsTagsBehind
from kitpack.errors import LogError
from kitpack.oci.descriptor import Descriptor
from kitpack.releases.home import Home
from kitpack.releases.log import log_tags, read_head
from kitpack.releases.record import Record, Route, log_prefix

__all__ = ["COSTLY_EVERY", "LONGEST_PAUSE", "PAGE", "Standing", "Watch", "pause"]

PAGE = 16
"""Tags asked for at once."""

COSTLY_EVERY = 6
"""Of how many looks one asks a registry for records that answers with all its tags."""

LONGEST_PAUSE = 60.0
"""Seconds after which a registry that is down is asked again at the latest, unless the interval is longer."""

_JITTER = 0.2
_random = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A channel as it was seen.

    Attributes:
        tagged: What its tag stands for: the stable release.
        head: The last record that could be read; None when there is none, or none was asked for.
        fault: Why the log cannot be read; what is known of it is from before.
    """

    tagged: Descriptor
    head: Record | None = None
    fault: str = ""

    @property
    def routes(self) -> tuple[Route, ...]:
        """Who else gets traffic. Routes hold beside the release they were made for, and end with it."""
        if self.head is None:
            return ()
        stable = self.head.source if self.head.action == "withdraw" else self.head.target
        return self.head.routes if stable == self.tagged.digest else ()


class Watch:
    """Looks at a channel, and remembers what need not be asked again. For one thread at a time.

    Args:
        home: Where the channel is.
        channel: The channel.
        routes: Whether routes are wanted besides the stable release.
    """

    def __init__(self, home: Home, channel: str, *, routes: bool = True) -> None:
        self._home = home
        self._channel = channel
        self._routes = routes
        self._tagged: Descriptor | None = None
        self._ends: list[str] = []
        self._head: Record | None = None
        self._is_costly = False
        self._waited = 0

    def look(self) -> Standing:
        """Look once.

        Raises:
            NotFoundError: When there is no such tag.
            RegistryError: When the registry refuses, or cannot be reached.
        """
        tagged = self._resolve()
        fault = ""
        if self._routes and self._is_due(has_moved=tagged != self._tagged):
            before = self._head
            try:
                self._read_end()
            except LogError as error:
                fault = error.message
            if self._head != before and self._head and self._head.target != tagged.digest:
                tagged = self._resolve()  # the record is written first: the tag may have moved meanwhile
        self._tagged = tagged
        return Standing(tagged=tagged, head=self._head, fault=fault)

    def _resolve(self) -> Descriptor:
        return self._home.target.resolve(f"{self._home.prefix}{self._channel}")

    def _is_due(self, *, has_moved: bool) -> bool:
        self._waited += 1
        if self._is_costly and not has_moved and self._waited < COSTLY_EVERY:
            return False
        self._waited = 0
        return True

    def _read_end(self) -> None:
        """Read the last record, if it is another than last time.

        Raises:
            LogError: When it cannot be read, or what was read before is gone.
        """
        ends = self._last_of(self._listed())
        if ends == self._ends:
            return
        if not ends:
            raise LogError(f"the records of {self._home.label}:{self._channel} are gone")
        self._head = read_head(self._home, self._channel, ends, above=self._head.sequence if self._head else 0)
        self._ends = ends

    def _listed(self) -> Iterable[str]:
        """The tags of all records from the last known one on, and maybe others."""
        target, prefix = self._home.target, log_prefix(self._channel)
        in_order = self._head is None or self._head.sequence < 10**6 - 1  # beyond, numbers have a digit more
        if self._home.prefix or not in_order or not isinstance(target, ListsTagsBehind):
            return self._home.tags(prefix)
        behind = f"{prefix}{self._head.sequence:06d}" if self._head else prefix
        names, more = target.tags_behind(behind, PAGE)
        is_in_order = names == sorted(names) and all(name > behind for name in names)
        self._is_costly = not is_in_order or len(names) > PAGE
        if more and not (is_in_order and names and not names[-1].startswith(prefix)):
            return self._home.tags(prefix)
        return names

    def _last_of(self, names: Iterable[str]) -> list[str]:
        last = self._head.sequence if self._head else 0
        found = log_tags(self._channel, names, above=last)
        return [one.tag for one in found if one.sequence == found[-1].sequence and one.sequence >= last]


def pause(interval: float, failures: int = 0) -> float:
    """Seconds until the next look: never more than the interval while all is well.

    Looks of many processes that began together drift apart; after failures they become rarer.

    Args:
        interval: Seconds between looks, at most.
        failures: How many looks failed one after the other.
    """
    longest = max(interval, LONGEST_PAUSE)
    whole = min(interval * 2 ** min(failures, 16), longest) if failures else interval
    return whole * _random.uniform(1 - _JITTER, 1)
