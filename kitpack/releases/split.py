"""Who gets which release while a rollout runs: the same answer for a user every time, everywhere, in any language.

The algorithm, so that it can be written anew elsewhere:

1. Take the UTF-8 bytes of ``salt``, one zero byte, and the UTF-8 bytes of the user's key.
2. Hash them with SHA-256 and read the first 8 bytes as a big-endian number, n.
3. The user's place is ``n * 10000 // 2**64``: 0 to 9999, a hundredth of a percent each.
4. Lay the routes end to end in their order, each as wide as its percent (times 100, rounded to the nearest number,
   halves up). The route in which the place lies is the user's; a place behind all of them stays with the live release.

A rollout keeps its salt while it ramps up, so who has the new release keeps it; another rollout has another salt, so
it is not the same people who get everything first. Test vectors stand in ``tests/unit/releases/test_split.py``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from kitpack.releases.record import Route

__all__ = ["PLACES", "place_of", "route_of", "split", "width_of"]

PLACES = 10_000
"""Into how many parts users are divided."""


def place_of(key: str, salt: str) -> int:
    """Where a user stands in a rollout: 0 to 9999.

    Args:
        key: What stays the same about the user, such as an account number.
        salt: What the rollout has of its own.
    """
    digest = hashlib.sha256(salt.encode() + b"\0" + key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") * PLACES >> 64


def width_of(route: Route) -> int:
    """How many of the places are a route's; none when it is a shadow."""
    return 0 if route.shadow else math.floor(route.percent * 100 + 0.5)


def route_of(key: str, routes: Sequence[Route]) -> Route | None:
    """The route that a user takes; None for the live release. Shadow routes take nobody."""
    begin = 0
    for route in routes:
        if route.shadow:
            continue
        end = begin + width_of(route)
        if begin <= place_of(key, route.salt) < end:
            return route
        begin = end
    return None


split = route_of
"""What :func:`route_of` is called at the front door: ``kitpack.split(user, live.routes)``."""
