"""Work side by side: all of it or the first failure."""

from __future__ import annotations

import signal
import threading

import pytest

from kitpack.content.events import Event, OnEvent, ignore
from kitpack.content.sidebyside import side_by_side

TICK = Event(kind="moved", name="x")


@pytest.mark.parametrize("jobs", [1, 3, 50])
def test_results_come_in_the_order_of_the_items(jobs: int) -> None:
    assert side_by_side(lambda item, _: item * item, range(30), jobs, ignore) == [item * item for item in range(30)]


def test_nothing_to_do_is_done() -> None:
    assert side_by_side(lambda item, _: item, list[int](), 4, ignore) == []


def test_no_more_than_so_many_at_a_time() -> None:
    lock, together, most = threading.Lock(), 0, 0
    pair = threading.Barrier(3)

    def work(item: int, on_event: OnEvent) -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        pair.wait(20)  # comes through only when three work at the same time
        with lock:
            together -= 1

    side_by_side(work, range(9), 3, ignore)
    assert most == 3


def test_after_a_failure_what_runs_ends_at_its_next_event_and_nothing_new_begins() -> None:
    begun: list[int] = []
    running = threading.Event()
    seen: list[Event] = []

    def work(item: int, on_event: OnEvent) -> None:
        begun.append(item)
        if item == 0:
            assert running.wait(20)
            raise ValueError("the first")
        running.set()
        for _ in range(10_000_000):  # ends long before, by what the event raises
            on_event(TICK)
        raise AssertionError("nobody stopped it")

    with pytest.raises(ValueError, match="the first"):
        side_by_side(work, range(100), 2, seen.append)
    assert sorted(begun) == [0, 1]


def test_a_failing_listener_is_a_failure() -> None:
    def listen(event: Event) -> None:
        raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="gone"):
        side_by_side(lambda item, on_event: on_event(TICK), range(5), 2, listen)


def test_an_interrupt_inside_the_work_comes_out_as_one() -> None:
    def work(item: int, on_event: OnEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side(work, range(5), 2, ignore)


def test_an_interrupt_from_the_keyboard_does_not_wait_for_who_does_not_answer() -> None:
    release = threading.Event()
    waiting = threading.Event()
    ended = threading.Event()

    def work(item: int, on_event: OnEvent) -> None:
        try:
            if item == 0:
                assert waiting.wait(20)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # it waits for us
            waiting.set()
            assert release.wait(20)
            on_event(TICK)
        finally:
            if item == 1:
                ended.set()

    with pytest.raises(KeyboardInterrupt):
        side_by_side(work, range(2), 2, ignore)
    assert not ended.is_set()
    release.set()
    assert ended.wait(20)
