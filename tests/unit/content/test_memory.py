"""What only the memory target shows; what it shares with the others is in the contract."""

from __future__ import annotations

from kitpack.content.memory import Memory
from kitpack.content.target import fetch_bytes, opener_of
from kitpack.oci.descriptor import Descriptor
from tests.support.bundles import blob_of, push_artifact


def test_an_empty_blob_is_there_or_not() -> None:
    memory = Memory()
    assert not memory.exists(blob_of(b""))
    memory.push(blob_of(b""), opener_of(b""))
    assert memory.exists(blob_of(b""))
    assert fetch_bytes(memory, blob_of(b"")) == b""


def test_another_size_is_other_content() -> None:
    memory = Memory()
    found = blob_of(b"abc")
    memory.push(found, opener_of(b"abc"))
    assert not memory.exists(Descriptor(media_type=found.media_type, digest=found.digest, size=4))


def test_two_memories_know_nothing_of_each_other() -> None:
    one, other = Memory(), Memory()
    push_artifact(one, {"a": b"a"}, "v1")
    assert list(other.tags()) == []
    assert not other.exists(blob_of(b"a"))
