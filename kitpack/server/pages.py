"""Lists in pages: a number of items, and where the next page begins.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-discovery
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from kitpack.server.problems import RefusedError

__all__ = ["Page", "Wanted", "page_of"]

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to see of a list.

    Attributes:
        count: The number of items on a page, at most.
        last: The item after which the page begins; empty for the first.
    """

    count: int = _MOST
    last: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """Read the parameters ``n`` and ``last``.

        Raises:
            RefusedError: When ``n`` is not a number.
        """
        text = query.get("n", str(_MOST))
        if not (text.isascii() and text.isdigit()):
            raise RefusedError(400, "UNSUPPORTED", f"n={text[:40]!r}: expected a whole number")
        count = _MOST if len(text.lstrip("0")) > len(str(_MOST)) else min(int(text), _MOST)
        return cls(count, query.get("last", ""))


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    Attributes:
        items: The items.
        link: The header that leads to the next page; empty for none.
    """

    items: Sequence[str]
    link: str = ""


def page_of(items: Sequence[str], wanted: Wanted, path: str, query: Mapping[str, str] | None = None) -> Page:
    """Take one page out of a sorted list.

    Args:
        items: All items, sorted.
        wanted: Which of them.
        path: Where the list is.
        query: Further parameters of the next page.
    """
    start = bisect_right(items, wanted.last) if wanted.last else 0
    page = items[start : start + wanted.count]
    if not page or start + len(page) >= len(items):
        return Page(page)
    following = urlencode({**(query or {}), "n": str(wanted.count), "last": page[-1]})
    return Page(page, f'<{path}?{following}>; rel="next"')
