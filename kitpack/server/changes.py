"""Changes of the index that come at the same moment are made together: all wait once for the disk, not one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from kitpack.content.store.index import Index, change_index

__all__ = ["Changes"]


@dataclass(slots=True, eq=False)
class _Change:
    """A change that somebody waits for.

    Attributes:
        make: Makes the new index from the current one.
        is_over: Whether it was tried.
        error: Why it was not made.
    """

    make: Callable[[Index], Index]
    is_over: bool = False
    error: BaseException | None = None


class Changes:
    """The changes of one layout.

    Args:
        root: The layout.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = Lock()
        self._turn = Lock()
        self._waiting: list[_Change] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def make(self, change: Callable[[Index], Index]) -> None:
        """Change the index, as :func:`change_index` does; what comes meanwhile is changed with the next.

        Args:
            change: Makes the new value from the current one, after all that came before; what it raises, only its own
                caller hears of.

        Raises:
            StoreError: When the index is missing or damaged.
        """
        mine = _Change(change)
        with self._lock:
            self._waiting.append(mine)
        with self._turn:
            if not mine.is_over:
                self._make_all()
        if mine.error:
            raise mine.error

    def _make_all(self) -> None:
        with self._lock:
            changes, self._waiting = self._waiting, []
        try:
            change_index(self._root, lambda index: _changed(index, changes))
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
            for one in changes:
                one.error = one.error or error
        finally:
            for one in changes:
                one.is_over = True


def _changed(index: Index, changes: list[_Change]) -> Index:
    for one in changes:
        try:
            index = one.make(index)
        except Exception as error:  # noqa: BLE001 - the others have nothing to do with it
            one.error = error
    return index
