"""Lines of a text by places in it, without counting from the top each time."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["line_counter"]


def line_counter(text: str) -> Callable[[int], int]:
    """Make a function that says how many line breaks stand before a place; places that only grow cost next to nothing.

    Args:
        text: The text.
    """
    counted = breaks = 0

    def above(place: int) -> int:
        nonlocal counted, breaks
        if place < counted:
            counted = breaks = 0
        breaks += text.count("\n", counted, place)
        counted = place
        return breaks

    return above
