"""The image layout on the disk: what is written, and what others wrote."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kitpack.content.store.audit import audit
from kitpack.content.store.layout import Layout
from kitpack.content.target import Leases, Target, fetch_bytes, opener_of
from kitpack.errors import (
    NotFoundError,
    TagExistsError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import EMPTY_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.support.bundles import (
    ARTIFACT_TYPE,
    CONFIG,
    blob_of,
    manifest_of,
    push_artifact,
    push_blob,
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


def test_a_digest_of_a_blob_that_is_no_manifest_is_not_found(layout: Layout) -> None:
    blob = push_blob(layout, b"just bytes")
    with pytest.raises(NotFoundError, match="no manifest"):
        layout.resolve(str(blob.digest))


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


@contextmanager
def _read_only(layout: Layout) -> Iterator[None]:
    """Let nobody write for a while; root gives up its power over files, too."""
    folders = [layout.path, *(path for path in layout.path.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    was = os.geteuid()
    if not was and os.access(layout.path, os.W_OK):
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


def test_of_many_who_want_a_name_at_once_one_gets_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    rivals = [push_artifact(layout, {"f": bytes([number])}) for number in range(8)]

    def claim(descriptor: Descriptor) -> bool:
        try:
            layout.tag_once(descriptor, "bot:1")
        except TagExistsError:
            return False
        return True

    with ThreadPoolExecutor(max_workers=8) as pool:
        won = list(pool.map(claim, rivals))
    assert won.count(True) == 1
    assert layout.resolve("bot:1").digest == rivals[won.index(True)].digest
