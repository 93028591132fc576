"""What two sequences have in common, found with an end to its patience."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["Matcher", "Patience", "TooLongError"]


class TooLongError(Exception):
    """The comparison would take too many steps."""


class Patience:
    """Steps that one or more comparisons may take together.

    Args:
        steps: How many; a million take a fraction of a second.
    """

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Take some of the steps.

        Raises:
            TooLongError: When there are not as many left.
        """
        self._left -= steps
        if self._left < 0:
            raise TooLongError


class Matcher(difflib.SequenceMatcher[str]):
    """Python's matcher, which may take quadratic time at every level of its recursion, with an end to its patience.

    Args:
        old: The older sequence.
        new: The newer sequence.
        patience: What its searches may cost.
    """

    b2j: dict[str, list[int]]  # where in the new sequence each item stands, but for those that are everywhere

    def __init__(self, old: Sequence[str], new: Sequence[str], patience: Patience) -> None:
        super().__init__(None, old, new)
        self._steps_before = [0, *accumulate(1 + len(self.b2j.get(one, ())) for one in old)]
        self._patience = patience

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        """See the base class.

        Raises:
            TooLongError: When this search would be one too many.
        """
        end = len(self._steps_before) - 1 if ahi is None else ahi
        self._patience.spend(self._steps_before[end] - self._steps_before[alo])
        return super().find_longest_match(alo, ahi, blo, bhi)
