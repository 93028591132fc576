"""Content that stays where it is."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

import pytest

from kitpack.content.copy import copy
from kitpack.content.inplace import InPlace
from kitpack.content.memory import Memory
from kitpack.content.target import fetch_bytes, opener_of
from kitpack.errors import IntegrityError, NotFoundError
from kitpack.oci.digest import Digest
from tests.support.bundles import CONFIG, blob_of, manifest_of, noise, push_artifact, push_blob, push_manifest


def test_added_bytes_are_read_again_from_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    data = noise((1 << 20) + 5)
    path.write_bytes(data)
    store = InPlace()

    def open_at(offset: int) -> BinaryIO:
        file = path.open("rb")
        file.seek(offset)
        return cast("BinaryIO", file)

    digest, size = store.add(open_at)
    assert (digest, size) == (Digest.of_bytes(data), len(data))
    with store.fetch(blob_of(data), 1 << 20) as stream:
        assert stream.read() == data[1 << 20 :]
    path.write_bytes(b"changed" + data[7:])
    with pytest.raises(IntegrityError):
        fetch_bytes(store, blob_of(data))


def test_a_bundle_is_copied_out_of_it() -> None:
    store, target = InPlace(), Memory()
    root = push_artifact(store, {"a": b"a", "b": b""}, "v1")
    assert store.resolve("v1") == store.resolve(str(root.digest)) == root.plain()
    assert copy(store, "v1", target, "v1") == root.plain()
    assert fetch_bytes(target, blob_of(b"a")) == b"a"


def test_it_has_only_what_was_given_to_it() -> None:
    store = InPlace()
    descriptor = push_blob(store, b"abc")
    assert store.exists(descriptor)
    assert not store.exists(blob_of(b"abcd"))
    with pytest.raises(NotFoundError):
        store.fetch(blob_of(b"abcd"))
    for name in ("v1", str(descriptor.digest), "sha256:x"):
        with pytest.raises(NotFoundError):
            store.resolve(name)


def test_wrong_bytes_are_refused() -> None:
    store = InPlace()
    with pytest.raises(IntegrityError):
        store.push(blob_of(b"abc"), opener_of(b"abd"))
    assert not store.exists(blob_of(b"abc"))


def test_only_manifests_that_are_here_are_tagged() -> None:
    store = InPlace()
    with pytest.raises(NotFoundError):
        store.tag(manifest_of({}).descriptor, "v1")
    with pytest.raises(NotFoundError):
        store.tag(push_blob(store, CONFIG), "v1")
    push_manifest(store, manifest_of({}), "v1")
    assert store.resolve("v1").digest == manifest_of({}).descriptor.digest
