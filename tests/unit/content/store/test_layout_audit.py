"""An audit finds every fault, and only faults."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kitpack.content.store.audit import Finding, audit
from kitpack.content.store.layout import Layout
from kitpack.errors import NotFoundError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from tests.support.bundles import blob_of, index_of, noise, push_artifact, push_blob, push_manifest


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def _path(layout: Layout, descriptor: Descriptor) -> Path:
    return layout.path / "blobs" / descriptor.digest.algorithm / descriptor.digest.hex


def _digests(findings: list[Finding]) -> list[Digest | None]:
    return [finding.digest for finding in findings]


def test_a_whole_layout_has_no_faults(layout: Layout) -> None:
    subject = push_artifact(layout, {"a": noise(3 << 20), "b": b""}, "v1")
    push_artifact(layout, {"s": b"s"}, subject=subject)
    push_manifest(layout, index_of([subject]), "all")
    push_blob(layout, b"garbage is no fault")
    (layout.path / "ingest" / "leftover.tmp").write_bytes(b"no fault either")
    (layout.path / "blobs" / "sha256" / ".DS_Store").write_bytes(b"nor is this")
    assert list(audit(layout)) == []
    assert list(audit(layout, subject)) == []


def _replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda path: path.unlink(), "is not in"),
    "other bytes": (lambda path: _replace(path, b"rotten!"), "holds bytes of sha256:"),
    "short": (lambda path: _replace(path, b"rotte"), "has 5 bytes; expected 7"),
    "long": (lambda path: _replace(path, b"rotten!!"), "has 8 bytes; expected 7"),
    "empty": (lambda path: _replace(path, b""), "has 0 bytes; expected 7"),
    "link": (_link, "is not a regular file"),
    "folder": (_folder, "is not a regular file"),
    "fifo": (_fifo, "is not a regular file"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_layer_is_found_once(layout: Layout, damage: str) -> None:
    harm, message = DAMAGE[damage]
    descriptor = push_artifact(layout, {"a": b"weights"[:7], "b": b"fine"}, "v1")
    other = push_artifact(layout, {"b": b"fine"}, "v2")
    layer = blob_of(b"weights")
    harm(_path(layout, layer))
    for findings in (list(audit(layout)), list(audit(layout, descriptor))):
        assert _digests(findings) == [layer.digest]
        assert message in findings[0].message
        assert str(_path(layout, layer)) == findings[0].path
        assert findings[0].hint
        assert message in str(findings[0])
    assert list(audit(layout, other)) == []


@pytest.mark.parametrize("damage", set(DAMAGE) - {"missing", "short", "long", "empty"})
def test_a_damaged_blob_that_nothing_names_is_found(layout: Layout, damage: str) -> None:
    push_artifact(layout, {}, "v1")
    blob = push_blob(layout, b"weights")
    DAMAGE[damage][0](_path(layout, blob))
    assert _digests(list(audit(layout))) == [blob.digest]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_manifest_is_found_and_said_who_needs_it(layout: Layout, damage: str) -> None:
    descriptor = push_artifact(layout, {"a": b"a"})
    push_manifest(layout, index_of([descriptor]), "bot:1.0")
    DAMAGE[damage][0](_path(layout, descriptor))
    (finding,) = audit(layout)
    assert finding.digest == descriptor.digest
    assert "'bot:1.0' needs it" in finding.message


def test_every_fault_is_found(layout: Layout) -> None:
    names = ["a", "b", "c", "d"]
    descriptor = push_artifact(layout, {name: name.encode() for name in names}, "v1")
    for name in names:
        DAMAGE["other bytes" if name < "c" else "missing"][0](_path(layout, blob_of(name.encode())))
    found = {finding.digest for finding in audit(layout)}
    assert found == {blob_of(name.encode()).digest for name in names}
    assert {finding.digest for finding in audit(layout, descriptor)} == found


def test_a_damaged_index_is_a_fault_and_the_blobs_are_still_looked_at(layout: Layout) -> None:
    push_artifact(layout, {"a": b"weights"}, "v1")
    DAMAGE["other bytes"][0](_path(layout, blob_of(b"weights")))
    (layout.path / "index.json").write_bytes(b"{")
    index, blob = audit(layout)
    assert index.path == str(layout.path / "index.json")
    assert "is damaged" in index.message
    assert blob.digest == blob_of(b"weights").digest


def test_what_is_no_layout_is_not_audited(layout: Layout) -> None:
    with pytest.raises(NotFoundError):
        list(audit(layout))
    push_blob(layout, b"x")
    (layout.path / "oci-layout").write_text("{}")
    with pytest.raises(StoreError):
        list(audit(layout))


def test_progress_ends_at_the_total(layout: Layout) -> None:
    push_artifact(layout, {"a": noise(3 << 20), "b": noise(1 << 20, 1)}, "v1")
    calls: list[tuple[int, int]] = []
    assert list(audit(layout, jobs=4, progress=lambda done, total: calls.append((done, total)))) == []
    stored = sum(path.stat().st_size for path in (layout.path / "blobs" / "sha256").iterdir())
    assert len({total for _, total in calls}) == 1
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (stored, stored)


def test_an_audit_may_be_broken_off(layout: Layout) -> None:
    for number in range(20):
        push_blob(layout, noise(1000, number))
    for path in (layout.path / "blobs" / "sha256").iterdir():
        path.chmod(0o644)
        path.write_bytes(noise(1000, 99))
    findings = audit(layout)
    assert isinstance(next(findings), Finding)
    del findings
    push_blob(layout, b"the lease is over, and the layout works")
