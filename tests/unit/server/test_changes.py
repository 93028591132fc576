"""Changes of the index by many at once: all are made, in some order, and what goes wrong is told to who asked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kitpack.content.store.folder import INDEX, begin_layout
from kitpack.content.store.index import Index, read_index
from kitpack.errors import StoreError, UnsupportedError
from kitpack.server.changes import Changes
from tests.support.bundles import manifest_of

ENTRY = manifest_of({"a": b"a"}).descriptor
MANY = 24


@pytest.fixture
def root(tmp_path: Path) -> Path:
    begin_layout(tmp_path / "layout")
    return tmp_path / "layout"


def test_none_is_lost_and_only_the_refused_hear_of_it(root: Path) -> None:
    changes, gate = Changes(root), threading.Barrier(MANY)

    def add(number: int) -> str:
        def change(index: Index) -> Index:
            if number % 5 == 0:
                raise UnsupportedError(f"not {number}")
            return index.with_name(ENTRY, f"a:{number}")

        gate.wait()
        try:
            changes.make(change)
        except UnsupportedError as error:
            return error.message
        assert read_index(root).named(f"a:{number}"), "it is there when it returns"
        return ""

    with ThreadPoolExecutor(MANY) as pool:
        made = list(pool.map(add, range(MANY)))
    assert made == ["" if number % 5 else f"not {number}" for number in range(MANY)]
    assert read_index(root).names == {f"a:{number}" for number in range(MANY) if number % 5}


def test_those_who_wait_are_changed_together(root: Path) -> None:
    """While one change is being made, all that come wait, and are then written as one."""
    changes, began, go_on = Changes(root), threading.Event(), threading.Event()
    versions: list[int] = []

    def slow(index: Index) -> Index:
        began.set()
        assert go_on.wait(30)
        return index.with_name(ENTRY, "a:slow")

    def add(number: int) -> None:
        def change(index: Index) -> Index:
            versions.append((root / INDEX).stat().st_ino)
            return index.with_name(ENTRY, f"a:{number}")

        changes.make(change)

    with ThreadPoolExecutor(MANY) as pool:
        first = pool.submit(changes.make, slow)
        assert began.wait(30)
        others = [pool.submit(add, number) for number in range(MANY - 1)]
        while len(changes) < MANY - 1:
            continue
        go_on.set()
        for one in (first, *others):
            one.result()
    assert len(read_index(root).names) == MANY
    assert len(set(versions)) == 1


def test_everybody_hears_of_an_index_that_cannot_be_read(root: Path) -> None:
    (root / INDEX).write_text("nonsense")
    changes = Changes(root)
    for _ in range(2):
        with pytest.raises(StoreError, match="damaged"):
            changes.make(lambda index: index)
