"""Progress: what is told adds up, whatever the reader does."""

from __future__ import annotations

import io
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.content.events import Counted, Event, ignore
from kitpack.content.target import opener_of


def _read(stream: BinaryIO, sizes: list[int]) -> bytes:
    with stream:
        return b"".join(stream.read(size) for size in sizes)


@given(st.binary(max_size=100), st.lists(st.tuples(st.integers(0, 100), st.lists(st.integers(0, 60), max_size=5))))
def test_the_sum_is_where_the_last_reader_stands(data: bytes, readings: list[tuple[int, list[int]]]) -> None:
    events: list[Event] = []
    counted = Counted(opener_of(data), "x", len(data), events.append)
    resumed = min(readings[0][0], len(data)) if readings else 0
    for start, sizes in readings:
        offset = min(start, len(data))
        position = offset + len(_read(counted(offset), sizes))
        assert sum(event.size for event in events if event.kind == "moved") == position - resumed
        assert position <= len(data)
    assert counted.opened == bool(readings)
    assert [event.size for event in events if event.kind == "started"] == [len(data) - resumed] * bool(readings)
    assert all(event.name == "x" for event in events)


def test_nothing_is_told_before_anybody_opens() -> None:
    events: list[Event] = []
    assert not Counted(opener_of(b"x"), "x", 1, events.append).opened
    assert events == []


@pytest.mark.parametrize("kind", ["started", "moved"])
def test_a_listener_that_wants_an_end_leaves_nothing_open(kind: str) -> None:
    stream = io.BytesIO(b"x")

    def refuse(event: Event) -> None:
        if event.kind == kind:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Counted(lambda _: stream, "x", 1, refuse)(0)
    assert stream.closed


def test_a_failed_opening_tells_nothing() -> None:
    events: list[Event] = []

    def missing(offset: int) -> BinaryIO:
        raise FileNotFoundError

    counted = Counted(missing, "x", 1, events.append)
    with pytest.raises(FileNotFoundError):
        counted(0)
    assert events == []
    assert not counted.opened


def test_closing_closes_what_is_underneath() -> None:
    stream = io.BytesIO(b"xyz")
    with Counted(lambda _: stream, "x", 3, ignore)(0) as counted:
        assert counted.readable()
        assert counted.read() == b"xyz"
    assert stream.closed


def test_after_falling_silent_nothing_is_told() -> None:
    events: list[Event] = []
    counted = Counted(opener_of(b"xyz"), "x", 3, events.append)
    with counted(0) as stream:
        stream.read(1)
        told = list(events)
        counted.fall_silent()
        stream.read()
    with counted(0) as stream:
        assert stream.read() == b"xyz"
    assert events == told
