"""The image layout on the disk: what is written, what is accepted, what is refused."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kitpack.content.audit import audit
from kitpack.content.layout import Layout
from kitpack.content.target import Leases, Target, fetch_bytes, opener_of
from kitpack.errors import (
    IntegrityError,
    InvalidManifestError,
    InvalidReferenceError,
    NotFoundError,
    StoreError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import MAX_MANIFEST_SIZE
from kitpack.oci.mediatypes import EMPTY_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.support.bundles import (
    ARTIFACT_TYPE,
    CONFIG,
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


def _names(layout: Layout) -> list[str | None]:
    entries = _index(layout)["manifests"]
    assert isinstance(entries, list)
    return [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in entries]


def _path(layout: Layout, descriptor: Descriptor) -> Path:
    return layout.path / "blobs" / descriptor.digest.algorithm / descriptor.digest.hex


def _rewrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def test_it_is_a_target_with_leases(layout: Layout) -> None:
    target: Target = layout
    assert isinstance(target, Leases)


def test_what_stands_on_the_disk(layout: Layout) -> None:
    descriptor = push_artifact(layout, {"a.txt": b"a"}, "bot:1.0")
    assert json.loads((layout.path / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert _index(layout) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {
                "mediaType": OCI_MANIFEST,
                "digest": str(descriptor.digest),
                "size": descriptor.size,
                "annotations": {"org.opencontainers.image.ref.name": "bot:1.0"},
                "artifactType": ARTIFACT_TYPE,
            }
        ],
    }
    blobs = [path for path in (layout.path / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in blobs} == {0o444}
    assert list((layout.path / "ingest").iterdir()) == []


def test_making_and_reading_create_nothing(layout: Layout) -> None:
    absent = blob_of(b"x")
    with layout.lease():
        assert not layout.exists(absent)
        assert list(layout.referrers(absent)) == []
        with pytest.raises(NotFoundError) as caught:
            layout.resolve("bot:1.0")
        assert "kitpack pack" in caught.value.hint
        for read in (lambda: layout.fetch(absent), lambda: list(layout.tags()), lambda: layout.untag("bot:1.0")):
            with pytest.raises(NotFoundError):
                read()
    assert not layout.path.exists()


def test_an_empty_folder_is_left_empty_by_reading_and_filled_by_writing(layout: Layout) -> None:
    layout.path.mkdir()
    with layout.lease(), pytest.raises(NotFoundError):
        layout.resolve("v1")
    assert list(layout.path.iterdir()) == []
    push_artifact(layout, {}, "v1")
    assert list(layout.tags()) == ["v1"]


def test_without_create_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        push_blob(Layout(tmp_path / "store", create=False), b"x")
    assert list(tmp_path.iterdir()) == []
    push_blob(Layout(tmp_path / "store"), b"x")
    push_blob(Layout(tmp_path / "store", create=False), b"y")


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


def test_what_other_tools_wrote_is_kept(layout: Layout) -> None:
    descriptor = push_artifact(layout, {"a.txt": b"a"}, "v1")
    foreign = {
        "mediaType": "application/vnd.oci.artifact.manifest.v1+json",
        "digest": "sha256:" + "5" * 64,
        "size": 7,
        "annotations": {"io.example": "kept"},
        "platform": {"os": "linux", "architecture": "riscv64"},
        "x-unknown": [1, None, {"deep": 1.5}],
    }
    before = _index(layout)
    before["manifests"] = [foreign, *_list(before["manifests"])]
    before["annotations"] = {"io.example.index": "kept"}
    before["x-unknown"] = {"a": [True]}
    (layout.path / "index.json").write_text(json.dumps(before))

    layout.tag(descriptor, "v2")
    layout.untag("v1")

    after = _index(layout)
    assert _list(after["manifests"])[0] == foreign
    assert {key: after[key] for key in ("annotations", "x-unknown")} == {
        "annotations": {"io.example.index": "kept"},
        "x-unknown": {"a": [True]},
    }
    assert list(layout.tags()) == ["v2"]


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def test_an_index_without_media_type_and_with_null_for_a_list_is_read(layout: Layout) -> None:
    push_blob(layout, b"x")
    (layout.path / "index.json").write_text('{"schemaVersion":2,"manifests":null}')
    assert list(layout.tags()) == []
    push_artifact(layout, {}, "v1")
    assert list(layout.tags()) == ["v1"]


def test_names_keep_their_places_and_new_ones_come_last(layout: Layout) -> None:
    for name in ("c", "a", "b"):
        push_artifact(layout, {"name": name.encode()}, name)
    new = push_artifact(layout, {"name": b"new"}, "a")
    layout.tag(new, "0")
    assert _names(layout) == ["c", "a", "b", "0"]
    assert layout.resolve("a") == new
    layout.untag("c")
    assert _names(layout) == ["a", "b", "0"]
    assert list(layout.tags()) == ["0", "a", "b"]


def test_of_two_entries_with_one_name_the_last_decides(layout: Layout) -> None:
    push_artifact(layout, {"a": b"first"}, "v1")
    second = push_artifact(layout, {"a": b"second"}, "v2")
    third = push_artifact(layout, {"a": b"third"})
    text = (layout.path / "index.json").read_text()
    (layout.path / "index.json").write_text(text.replace('"v2"', '"v1"'))
    assert layout.resolve("v1") == second
    assert list(layout.tags()) == ["v1"]
    layout.tag(third, "v1")
    assert layout.resolve("v1") == third
    assert _names(layout) == ["v1"]


def test_a_full_reference_is_a_name_like_any_other(layout: Layout) -> None:
    descriptor = push_artifact(layout, {}, "registry.example:5000/team/bot:1.0")
    assert layout.resolve("registry.example:5000/team/bot:1.0") == descriptor
    with pytest.raises(NotFoundError):
        layout.resolve("1.0")


def test_an_unknown_name_gets_the_nearest_one_as_hint(layout: Layout) -> None:
    push_artifact(layout, {}, "assistant:1.4.0")
    with pytest.raises(NotFoundError) as caught:
        layout.resolve("asistant:1.4.0")
    assert "assistant:1.4.0" in caught.value.hint


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


def test_a_digest_of_a_blob_that_is_no_manifest_is_not_found(layout: Layout) -> None:
    blob = push_blob(layout, b"just bytes")
    with pytest.raises(NotFoundError, match="no manifest"):
        layout.resolve(str(blob.digest))


def test_an_unlisted_manifest_with_other_bytes_is_not_resolved(layout: Layout) -> None:
    descriptor = push_artifact(layout, {"a": b"a"})
    _rewrite(_path(layout, descriptor), manifest_of({"a": b"b"}).raw)
    with pytest.raises(IntegrityError):
        layout.resolve(str(descriptor.digest))


def test_sha512_works_as_well(layout: Layout) -> None:
    data = b"long digests"
    descriptor = Descriptor(media_type="text/plain", digest=Digest.of_bytes(data, "sha512"), size=len(data))
    layout.push(descriptor, opener_of(data))
    assert fetch_bytes(layout, descriptor) == data
    manifest = manifest_of({})
    push_blob(layout, CONFIG, EMPTY_CONFIG)
    long = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of_bytes(manifest.raw, "sha512"), size=len(manifest.raw))
    layout.push(long, opener_of(manifest.raw))
    assert layout.resolve(str(long.digest)) == long


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


def test_a_blob_that_is_there_is_touched(layout: Layout) -> None:
    descriptor = push_blob(layout, b"x")
    os.utime(_path(layout, descriptor), (1, 1))
    push_blob(layout, b"x")
    assert _path(layout, descriptor).stat().st_mtime > 1
    os.utime(_path(layout, descriptor), (1, 1))
    layout.add(opener_of(b"x"))
    assert _path(layout, descriptor).stat().st_mtime > 1
    manifest = push_artifact(layout, {})
    os.utime(_path(layout, manifest), (1, 1))
    push_artifact(layout, {})
    assert _path(layout, manifest).stat().st_mtime > 1


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


def test_a_referrer_is_listed_without_a_name(layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "v1")
    annotations = {"by": "me", "org.opencontainers.image.ref.name": "v1"}
    push_artifact(layout, {"s": b"s"}, subject=subject, annotations=annotations)
    push_artifact(layout, {"s": b"s"}, subject=subject, annotations=annotations)
    assert _names(layout) == ["v1", None]
    assert layout.resolve("v1") == subject


@pytest.mark.parametrize("how", ["untag", "retag"])
def test_a_referrer_that_loses_its_only_entry_is_still_found(layout: Layout, how: str) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "v1")
    referrer = push_artifact(layout, {"s": b"s"}, "note", subject=subject)
    value = _index(layout)
    value["manifests"] = [one for one in _list(value["manifests"]) if "ref.name" in str(one)]
    (layout.path / "index.json").write_text(json.dumps(value))
    if how == "untag":
        layout.untag("note")
    else:
        layout.tag(subject, "note")
    assert [one.digest for one in layout.referrers(subject)] == [referrer.digest]


def test_a_manifest_with_a_subject_is_there_only_when_it_is_listed(layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "v1")
    bare = (layout.path / "index.json").read_bytes()
    referrer = push_artifact(layout, {"s": b"s"}, subject=subject)
    (layout.path / "index.json").write_bytes(bare)
    assert not layout.exists(referrer)
    push_artifact(layout, {"s": b"s"}, subject=subject)
    assert layout.exists(referrer)
    assert [one.digest for one in layout.referrers(subject)] == [referrer.digest]


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


@contextmanager
def _read_only(layout: Layout) -> Iterator[None]:
    """Let nobody write for a while; root gives up its power over files, too."""
    folders = [layout.path, *(path for path in layout.path.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    was = os.geteuid()
    if not was:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)
        for folder in folders:
            folder.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may look into, unlike the folders pytest makes."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("lock", ["without a lock file", "with a lock file"])
def test_a_read_only_store_can_be_read(open_folder: Path, lock: str) -> None:
    layout = Layout(open_folder / "store")
    push_artifact(layout, {"a": b"a"}, "v1")
    push_artifact(layout, {"s": b"s"}, subject=layout.resolve("v1"))
    if lock == "without a lock file":
        (layout.path / "gc.lock").unlink()
    with _read_only(layout):
        _use_read_only(layout)


def _use_read_only(read_only: Layout) -> None:
    with read_only.lease(), read_only.lease():
        descriptor = read_only.resolve("v1")
        assert fetch_bytes(read_only, descriptor) == manifest_of({"a": b"a"}).raw
        assert read_only.exists(descriptor)
        assert list(read_only.tags()) == ["v1"]
        assert len(list(read_only.referrers(descriptor))) == 1
        assert list(audit(read_only)) == []
    push_blob(read_only, b"a")
    with pytest.raises(PermissionError):
        push_blob(read_only, b"new")
    with pytest.raises(PermissionError):
        read_only.untag("v1")
