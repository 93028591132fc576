"""Damaged, foreign and hostile layouts: what is refused, and what the next push makes good."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kitpack.content.store.layout import Layout
from kitpack.content.target import fetch_bytes, opener_of
from kitpack.errors import (
    IntegrityError,
    InvalidManifestError,
    InvalidReferenceError,
    NotFoundError,
    StoreError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.manifest import MAX_MANIFEST_SIZE
from kitpack.oci.mediatypes import OCI_INDEX, OCI_MANIFEST
from tests.support.bundles import (
    ARTIFACT_TYPE,
    blob_of,
    index_of,
    manifest_of,
    push_artifact,
    push_blob,
    push_manifest,
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def _index(layout: Layout) -> dict[str, object]:
    value: dict[str, object] = json.loads((layout.path / "index.json").read_bytes())
    return value


def _path(layout: Layout, descriptor: Descriptor) -> Path:
    return layout.path / "blobs" / descriptor.digest.algorithm / descriptor.digest.hex


def _rewrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def test_a_foreign_folder_is_refused_and_left_alone(layout: Layout) -> None:
    layout.path.mkdir()
    (layout.path / "thesis.tex").write_text("years of work")
    for use in (lambda: layout.resolve("v1"), lambda: push_blob(layout, b"x"), lambda: list(layout.tags())):
        with pytest.raises(StoreError, match=r"thesis\.tex"):
            use()
    assert [path.name for path in layout.path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_layout(layout: Layout) -> None:
    layout.path.write_text("a file")
    with pytest.raises(StoreError, match="is a file"):
        layout.resolve("v1")
    with pytest.raises(StoreError, match="is a file"):
        push_blob(layout, b"x")


@pytest.mark.parametrize(
    "marker",
    [b"", b"{", b"[]", b'{"imageLayoutVersion":"2.0.0"}', b'{"imageLayoutVersion":1}', b"{}", b"\xff\xfe{}"],
)
def test_another_version_is_refused(layout: Layout, marker: bytes) -> None:
    push_artifact(layout, {}, "v1")
    (layout.path / "oci-layout").write_bytes(marker)
    with pytest.raises(StoreError, match="oci-layout"):
        layout.resolve("v1")
    with pytest.raises(StoreError, match="oci-layout"):
        push_blob(layout, b"x")


_ENTRY = b'{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s}' % (
    b"0" * 64,
    b"7",
)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b'{"schemaVersion":2,"manifests":[',
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'\xef\xbb\xbf{"schemaVersion":2,"manifests":[]}',
        b'{"schemaVersion":1,"manifests":[]}',
        b'{"schemaVersion":2,"manifests":{}}',
        b'{"schemaVersion":2,"manifests":[],"manifests":[]}',
        b'{"schemaVersion":2,"manifests":[]}{}',
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}',
        b'{"schemaVersion":2,"manifests":[7]}',
        b'{"schemaVersion":2,"manifests":[{}]}',
        b'{"schemaVersion":2,"manifests":[' + _ENTRY.replace(b":7}", b":-1}") + b"]}",
        b'{"schemaVersion":2,"manifests":[' + _ENTRY.replace(b"sha256:0", b"sha256:../../0") + b"]}",
        b"[" * 100_000,
    ],
)
def test_a_damaged_index_is_refused_and_left_alone(layout: Layout, damaged: bytes) -> None:
    descriptor = push_artifact(layout, {}, "v1")
    (layout.path / "index.json").write_bytes(damaged)
    uses = (
        lambda: layout.resolve("v1"),
        lambda: list(layout.tags()),
        lambda: layout.tag(descriptor, "v2"),
        lambda: layout.untag("v1"),
    )
    for use in uses:
        with pytest.raises(StoreError, match=r"index\.json") as caught:
            use()
        assert "kitpack verify" in caught.value.hint
    assert (layout.path / "index.json").read_bytes() == damaged


def test_a_missing_index_is_damage_not_an_empty_store(layout: Layout) -> None:
    push_artifact(layout, {}, "v1")
    (layout.path / "index.json").unlink()
    with pytest.raises(StoreError, match="is missing"):
        layout.resolve("v1")


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "a\0b", "\x1b[31m", "x" * 1025, "sha256:" + "0" * 64, "a\u202eb"])
def test_odd_names_are_refused(layout: Layout, name: str) -> None:
    descriptor = push_artifact(layout, {})
    with pytest.raises(InvalidReferenceError):
        layout.tag(descriptor, name)
    assert list(layout.tags()) == []


def test_an_entry_named_like_a_digest_cannot_lie_about_it(layout: Layout) -> None:
    honest = push_artifact(layout, {"a": b"honest"}, "honest")
    push_artifact(layout, {"a": b"evil"}, "evil")
    text = (layout.path / "index.json").read_text()
    (layout.path / "index.json").write_text(text.replace('"evil"', f'"{honest.digest}"'))
    assert layout.resolve(str(honest.digest)) == honest


def test_an_unlisted_manifest_with_other_bytes_is_not_resolved(layout: Layout) -> None:
    descriptor = push_artifact(layout, {"a": b"a"})
    _rewrite(_path(layout, descriptor), manifest_of({"a": b"b"}).raw)
    with pytest.raises(IntegrityError):
        layout.resolve(str(descriptor.digest))


def _place(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "link":
        outside = path.parents[2] / "outside"
        outside.write_bytes(b"0123456789")
        path.symlink_to(outside)
    elif kind == "dangling link":
        path.symlink_to(path.parents[2] / "nowhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(kind.encode())


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "fifo", "short", "much too long"])
def test_what_is_not_the_blob_is_neither_there_nor_read(layout: Layout, kind: str) -> None:
    descriptor = push_blob(layout, b"0123456789")
    _place(_path(layout, descriptor), kind)
    assert not layout.exists(descriptor)
    with pytest.raises(IntegrityError):
        layout.fetch(descriptor)


@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo", "short", "much too long"])
def test_what_is_not_the_blob_is_replaced_by_the_next_push(layout: Layout, kind: str) -> None:
    descriptor = push_blob(layout, b"0123456789")
    _place(_path(layout, descriptor), kind)
    push_blob(layout, b"0123456789")
    assert fetch_bytes(layout, descriptor) == b"0123456789"
    assert not _path(layout, descriptor).is_symlink()
    outside = layout.path / "outside"
    assert not outside.exists() or outside.read_bytes() == b"0123456789"


def test_a_folder_in_the_place_of_a_blob_is_refused(layout: Layout) -> None:
    descriptor = push_blob(layout, b"0123456789")
    _place(_path(layout, descriptor), "folder")
    with pytest.raises(StoreError, match="is a folder"):
        push_blob(layout, b"0123456789")
    with pytest.raises(StoreError, match="is a folder"):
        layout.add(opener_of(b"0123456789"))


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b"{}",
        b'{"schemaVersion":2,"manifests":[],"layers":[]}',
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
        b" " * (MAX_MANIFEST_SIZE + 1),
    ],
    ids=["no json", "empty", "two things", "an index", "huge"],
)
def test_what_is_no_manifest_is_not_pushed_as_one(layout: Layout, raw: bytes) -> None:
    descriptor = blob_of(raw, OCI_MANIFEST)
    with pytest.raises(InvalidManifestError):
        layout.push(descriptor, opener_of(raw))
    assert not layout.exists(descriptor)


def test_a_manifest_whose_layer_was_lost_is_not_there_and_not_tagged(layout: Layout) -> None:
    descriptor = push_artifact(layout, {"a": b"a"}, "v1")
    parent = push_manifest(layout, index_of([descriptor]))
    _path(layout, blob_of(b"a")).unlink()
    assert not layout.exists(descriptor)
    assert not layout.exists(parent)
    for one in (descriptor, parent):
        with pytest.raises(NotFoundError):
            layout.tag(one, "v2")
    push_artifact(layout, {"a": b"a"})
    assert layout.exists(parent)
    layout.tag(parent, "v2")


def test_a_damaged_manifest_is_written_again(layout: Layout) -> None:
    descriptor = push_artifact(layout, {"a": b"a"}, "v1")
    raw = manifest_of({"a": b"a"}).raw
    _rewrite(_path(layout, descriptor), b"#" + raw[1:])
    assert not layout.exists(descriptor)
    push_artifact(layout, {"a": b"a"})
    assert fetch_bytes(layout, descriptor) == raw


def test_blobs_cannot_be_tagged(layout: Layout) -> None:
    blob = push_blob(layout, b"x")
    with pytest.raises(NotFoundError, match="expected a manifest"):
        layout.tag(blob, "v1")


def test_a_deep_chain_of_indexes_is_no_trouble(layout: Layout) -> None:
    top = push_artifact(layout, {"a": b"a"})
    for _ in range(1200):
        manifest = index_of([top, top])
        layout.path.joinpath("blobs", "sha256", manifest.descriptor.digest.hex).write_bytes(manifest.raw)
        top = manifest.descriptor
    layout.tag(top, "deep")
    assert layout.exists(top)


def test_foreign_entries_do_not_disturb_the_search_for_referrers(layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "v1")
    referrer = push_artifact(layout, {"s": b"s"}, subject=subject)
    odd = b'{"schemaVersion":2,"schemaVersion":2,"manifests":[]}'
    odd_blob = push_blob(layout, odd)
    value = _index(layout)
    entries = _list(value["manifests"])
    listed = entries[1]
    assert isinstance(listed, dict)
    listed["artifactType"] = "application/vnd.example.lie"
    entries.append({"mediaType": OCI_MANIFEST, "digest": "sha256:" + "7" * 64, "size": 7})
    entries.append({"mediaType": OCI_INDEX, "digest": str(odd_blob.digest), "size": odd_blob.size})
    entries.append({"mediaType": "text/plain", "digest": "sha256:" + "8" * 64, "size": 7})
    (layout.path / "index.json").write_text(json.dumps(value))
    assert [(one.digest, one.artifact_type) for one in layout.referrers(subject)] == [(referrer.digest, ARTIFACT_TYPE)]
