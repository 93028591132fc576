"""Files that are sent while others are still being read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.artifact.packing.files import walk_files
from kitpack.content import onward
from kitpack.content.copy import copy
from kitpack.content.events import Counted, Event
from kitpack.content.inplace import InPlace
from kitpack.content.memory import Memory
from kitpack.content.onward import Onward
from kitpack.content.target import Opener, opener_of
from kitpack.errors import ChangedFileError, UnreachableError
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import EMPTY_CONFIG
from tests.support.bundles import CONFIG, blob_of, manifest_of, noise, push_blob, push_manifest

LARGE, OTHER, SMALL = noise(5000, 1), noise(6000, 2), noise(100, 3)


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onward, "LARGE", 1000)


class Asked(Memory):
    """A target that remembers what it was asked and what was sent to it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Digest] = []
        self.sent: list[Digest] = []
        self.is_storing = False

    def exists(self, descriptor: Descriptor) -> bool:
        if not self.is_storing:
            self.asked.append(descriptor.digest)
        return super().exists(descriptor)

    def push(self, descriptor: Descriptor, open_at: Opener) -> None:
        self.sent.append(descriptor.digest)
        self.is_storing = True
        super().push(descriptor, open_at)
        self.is_storing = False


def _add(store: InPlace, data: bytes, name: str = "w", on_event: Callable[[Event], None] = lambda _: None) -> Digest:
    return store.add(Counted(opener_of(data), name, len(data), on_event))[0]


def _bundle(store: InPlace, *contents: bytes) -> Descriptor:
    push_blob(store, CONFIG, EMPTY_CONFIG)
    return push_manifest(store, manifest_of({str(number): data for number, data in enumerate(contents)}))


def test_a_large_file_is_there_before_the_next_is_read() -> None:
    target = Asked()
    store = Onward(target, lambda: True)
    _add(store, LARGE)
    assert target.exists(blob_of(LARGE))
    _add(store, SMALL)
    assert not target.exists(blob_of(SMALL))


def test_what_was_sent_is_neither_asked_about_nor_sent_again() -> None:
    target = Asked()
    store = Onward(target, lambda: True)
    for data in (LARGE, OTHER, SMALL, LARGE):
        _add(store, data)
    assert target.sent == [blob_of(LARGE).digest, blob_of(OTHER).digest]
    assert {*target.asked} == {*target.sent}
    target.asked.clear()
    packed = _bundle(store, LARGE, OTHER, SMALL)
    copy(store, packed, target, "v1")
    assert target.resolve("v1") == packed.plain()
    assert not {blob_of(LARGE).digest, blob_of(OTHER).digest} & {*target.asked}
    assert len(target.sent) == len({*target.sent})


def test_what_the_target_has_is_not_sent() -> None:
    target = Asked()
    push_blob(target, LARGE)
    target.sent.clear()
    events: list[Event] = []
    _add(Onward(target, lambda: True, on_event=events.append), LARGE)
    assert target.sent == []
    assert [event.kind for event in events] == ["skipped"]


def test_another_target_is_asked_all_the_same() -> None:
    store = Onward(Memory(), lambda: True)
    _add(store, LARGE)
    other = Memory()
    copy(store, _bundle(store, LARGE), other, "v1")
    assert other.exists(blob_of(LARGE))


def test_nothing_is_sent_before_it_may_be() -> None:
    asked = []

    def no() -> bool:
        asked.append(1)
        return False

    target = Asked()
    store = Onward(target, no)
    _add(store, SMALL)
    assert asked == []
    _add(store, LARGE)
    _add(store, OTHER)
    assert (asked, target.asked, target.sent) == ([1], [], [])
    copy(store, _bundle(store, LARGE, OTHER), target, "v1")
    assert target.exists(blob_of(OTHER))


def test_reading_and_sending_are_told_apart() -> None:
    read: list[Event] = []
    sent: list[Event] = []
    _add(Onward(Memory(), lambda: True, on_event=sent.append), LARGE, "weights", read.append)
    assert sum(event.size for event in read if event.kind == "moved") == len(LARGE)
    assert sum(event.size for event in sent if event.kind == "moved") == len(LARGE)
    assert {event.name for event in sent} == {"weights"}


def test_who_listened_to_the_reading_may_end_the_sending() -> None:
    read = 0

    def stop_after_reading(event: Event) -> None:
        nonlocal read
        read += event.size if event.kind == "moved" else 0
        if event.kind == "moved" and read == len(LARGE) and not event.size:
            raise KeyboardInterrupt

    target = Memory()
    with pytest.raises(KeyboardInterrupt):
        _add(Onward(target, lambda: True), LARGE, on_event=stop_after_reading)
    assert not target.exists(blob_of(LARGE))


def test_a_file_that_changes_before_it_is_sent_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "w.gguf"
    path.write_bytes(LARGE)
    [file] = walk_files(tmp_path, "w.gguf", IgnoreRules.load(tmp_path))

    def changed() -> bool:
        path.write_bytes(OTHER)
        return True

    target = Memory()
    with pytest.raises(ChangedFileError):
        Onward(target, changed).add(Counted(file.open_at, "w.gguf", file.size, lambda _: None))
    assert not target.exists(blob_of(LARGE))


def test_a_failure_to_send_is_raised_where_it_was_added() -> None:
    class Gone(Memory):
        def push(self, descriptor: Descriptor, open_at: Callable[[int], BinaryIO]) -> None:
            raise UnreachableError("the registry is gone")

    with pytest.raises(UnreachableError):
        _add(Onward(Gone(), lambda: True), LARGE)
