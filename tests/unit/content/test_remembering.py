"""A source that fetches nothing small twice."""

from __future__ import annotations

import pytest

from kitpack.content.memory import Memory
from kitpack.content.remembering import Remembering
from kitpack.content.target import fetch_bytes
from kitpack.errors import IntegrityError, NotFoundError
from kitpack.oci.digest import Digest
from tests.support.bundles import blob_of, push_artifact, push_blob
from tests.support.sources import Watched

LIMIT = 100


def test_what_is_small_is_fetched_once_for_all_who_share_it() -> None:
    memory, known = Memory(), dict[Digest, bytes]()
    blobs = [push_blob(memory, bytes([number]) * 50) for number in range(8)]
    large = push_blob(memory, b"x" * 101)
    watched = Watched(memory)
    one, other = Remembering(watched, known, LIMIT), Remembering(watched, known, LIMIT)
    one.fetch_ahead([*blobs, *blobs, large], 4)
    assert (set(watched.fetched.values()), watched.fetched[large.digest]) == ({1}, 0)
    for source in (one, other):
        assert [fetch_bytes(source, blob) for blob in blobs] == [bytes([number]) * 50 for number in range(8)]
        assert source.fetch(blobs[0], 49).read() == b"\0"
        assert fetch_bytes(source, large) == b"x" * 101
    assert (watched.fetched[blobs[0].digest], watched.fetched[large.digest]) == (1, 2)


def test_it_is_a_source() -> None:
    memory = Memory()
    descriptor = push_artifact(memory, {"a": b"x"}, "v1")
    source = Remembering(memory, {}, LIMIT)
    assert source.resolve("v1").digest == descriptor.digest
    assert source.exists(blob_of(b"x"))
    assert not source.exists(blob_of(b"y"))


def test_nothing_is_remembered_that_is_not_what_it_should_be() -> None:
    memory, known = Memory(), dict[Digest, bytes]()
    blobs = [push_blob(memory, data) for data in (b"a", b"b")]
    damaged = Remembering(Watched(memory, damaged=[blobs[1].digest]), known, LIMIT)
    with pytest.raises(IntegrityError):
        damaged.fetch_ahead(blobs, 1)
    with pytest.raises(NotFoundError):
        damaged.fetch(blob_of(b"nowhere"))
    assert list(known.values()) == [b"a"]
