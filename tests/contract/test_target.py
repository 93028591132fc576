"""What every target promises, tried on every target."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeAlias

import pytest

from kitpack.content.memory import Memory
from kitpack.content.registry.repository import Repository
from kitpack.content.store.layout import Layout
from kitpack.content.target import (
    Adds,
    Deletes,
    ListsReferrers,
    ListsTags,
    Target,
    fetch_bytes,
    fetch_manifest,
    opener_of,
)
from kitpack.errors import IntegrityError, NotFoundError, UnsupportedError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import EMPTY_CONFIG, OCI_MANIFEST
from kitpack.settings import Settings
from tests.support.bundles import (
    CONFIG,
    blob_of,
    index_of,
    manifest_of,
    noise,
    push_artifact,
    push_blob,
    push_manifest,
)
from tests.support.registries import KINDS, registry_of_kind

Factory: TypeAlias = Callable[[pytest.FixtureRequest], AbstractContextManager[Target]]


def _memory(request: pytest.FixtureRequest) -> AbstractContextManager[Target]:
    return nullcontext(Memory())


def _layout(request: pytest.FixtureRequest) -> AbstractContextManager[Target]:
    return nullcontext(Layout(request.getfixturevalue("tmp_path") / "layout"))


def _repository(kind: str, request: pytest.FixtureRequest) -> AbstractContextManager[Target]:
    address = registry_of_kind(request, kind)
    home: Path = request.getfixturevalue("tmp_path")
    name = f"contract/{secrets.token_hex(8)}"  # the registry lives longer than a test
    return Repository(address, name, Settings(home=home, docker_config=home / "config.json"))


TARGETS: dict[str, Factory] = {
    "memory": _memory,
    "layout": _layout,
    **{kind: partial(_repository, kind) for kind in KINDS},
}


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    with TARGETS[request.param](request) as target:
        yield target


def _repeated(data: bytes) -> bytes:
    return data * 300_000


def _absent(data: bytes) -> Descriptor:
    return blob_of(b"never pushed: " + data)


@pytest.mark.parametrize("data", [b"", b"x", noise((1 << 20) + 1)], ids=["empty", "one byte", "more than a block"])
def test_a_pushed_blob_comes_back(target: Target, data: bytes) -> None:
    descriptor = blob_of(data)
    assert not target.exists(descriptor)
    target.push(descriptor, opener_of(data))
    assert target.exists(descriptor)
    assert fetch_bytes(target, descriptor) == data


@pytest.mark.parametrize("offset", [0, 1, 999, 1000])
def test_fetch_starts_at_an_offset(target: Target, offset: int) -> None:
    data = noise(1000)
    descriptor = push_blob(target, data)
    with target.fetch(descriptor, offset) as stream:
        assert stream.read() == data[offset:]


@pytest.mark.parametrize(
    "wrong",
    [lambda _: b"", lambda right: right[:-1] + b"x", lambda right: right[:-1], lambda right: right + b"x", _repeated],
    ids=["nothing", "other bytes", "one byte short", "one byte more", "much more"],
)
def test_wrong_bytes_are_refused_and_leave_nothing(target: Target, wrong: Callable[[bytes], bytes]) -> None:
    right = secrets.token_hex(5).encode()  # of this test alone: a registry may keep one blob for all repositories
    descriptor = blob_of(right)
    with pytest.raises(IntegrityError):
        target.push(descriptor, opener_of(wrong(right)))
    assert not target.exists(descriptor)
    with pytest.raises(NotFoundError):
        target.fetch(descriptor)
    target.push(descriptor, opener_of(right))
    assert fetch_bytes(target, descriptor) == right


def test_a_wrong_manifest_is_refused_and_leaves_nothing(target: Target) -> None:
    push_blob(target, CONFIG, EMPTY_CONFIG)
    manifest = manifest_of({})
    with pytest.raises(IntegrityError):
        target.push(manifest.descriptor, opener_of(manifest.raw.replace(b"example", b"exemplu")))
    assert not target.exists(manifest.descriptor)
    with pytest.raises(NotFoundError):
        target.resolve(str(manifest.descriptor.digest))


class _Failing(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size) or self._fail()

    def _fail(self) -> bytes:
        raise ConnectionResetError("the line went dead")


def test_a_source_that_fails_leaves_nothing_and_the_next_push_succeeds(target: Target) -> None:
    data = noise(100_000)
    descriptor = blob_of(data)
    with pytest.raises(ConnectionResetError):
        target.push(descriptor, lambda offset: _Failing(data[offset:50_000]))
    assert not target.exists(descriptor)
    target.push(descriptor, opener_of(data))
    assert fetch_bytes(target, descriptor) == data


def test_pushing_again_is_success_and_reads_no_bytes(target: Target) -> None:
    data = noise(1000)
    descriptor = push_blob(target, data)

    def refuse(offset: int) -> BinaryIO:
        raise AssertionError("the bytes are there already")

    target.push(descriptor, refuse)
    assert fetch_bytes(target, descriptor) == data


def test_what_was_never_pushed_is_not_found(target: Target) -> None:
    push_blob(target, b"something else")
    assert not target.exists(_absent(b""))
    with pytest.raises(NotFoundError):
        target.fetch(_absent(b""))
    with pytest.raises(NotFoundError):
        target.resolve(str(_absent(b"").digest))
    with pytest.raises(NotFoundError):
        target.resolve("unknown")


def test_an_empty_target_has_nothing(target: Target) -> None:
    assert not target.exists(_absent(b""))
    with pytest.raises(NotFoundError):
        target.fetch(_absent(b""))
    with pytest.raises(NotFoundError):
        target.resolve("unknown")


def test_two_threads_may_push_the_same_blob(target: Target) -> None:
    data = noise(3 << 20)
    descriptor = blob_of(data)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(target.push, descriptor, opener_of(data)) for _ in range(2)]:
            done.result()
    assert fetch_bytes(target, descriptor, limit=4 << 20) == data


def test_a_manifest_comes_back_byte_for_byte(target: Target) -> None:
    descriptor = push_artifact(target, {"a.txt": b"a", "b.txt": b"b"}, "v1")
    assert target.exists(descriptor)
    assert fetch_manifest(target, descriptor).raw == manifest_of({"a.txt": b"a", "b.txt": b"b"}).raw


def test_a_manifest_whose_content_is_missing_is_refused(target: Target) -> None:
    push_blob(target, CONFIG, EMPTY_CONFIG)
    manifest = manifest_of({"a.txt": b"never pushed"})
    with pytest.raises(NotFoundError):
        target.push(manifest.descriptor, opener_of(manifest.raw))
    assert not target.exists(manifest.descriptor)


def test_a_manifest_is_found_by_tag_and_by_digest(target: Target) -> None:
    descriptor = push_artifact(target, {"a.txt": b"a"}, "v1")
    assert target.resolve("v1") == descriptor
    assert target.resolve(str(descriptor.digest)) == descriptor


def test_a_manifest_without_a_tag_is_found_by_digest(target: Target) -> None:
    descriptor = push_artifact(target, {"a.txt": b"a"})
    assert target.resolve(str(descriptor.digest)) == descriptor


def test_an_index_is_found_by_tag_and_by_digest(target: Target) -> None:
    child = push_artifact(target, {"a.txt": b"a"})
    descriptor = push_manifest(target, index_of([child]), "all")
    assert target.resolve("all") == descriptor
    assert target.resolve(str(descriptor.digest)) == descriptor


def test_a_tag_moves(target: Target) -> None:
    old = push_artifact(target, {"a.txt": b"old"}, "latest")
    new = push_artifact(target, {"a.txt": b"new"}, "latest")
    assert target.resolve("latest") == new
    assert target.exists(old)


def test_a_tag_on_what_is_not_there_is_refused(target: Target) -> None:
    push_artifact(target, {"a.txt": b"a"}, "v1")
    absent = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of_bytes(b"never pushed"), size=12)
    with pytest.raises(NotFoundError):
        target.tag(absent, "v2")
    with pytest.raises(NotFoundError):
        target.resolve("v2")


def test_all_tags_are_listed(target: Target) -> None:
    assert isinstance(target, ListsTags)
    names = {"v1", "v2", "latest", "production.log.000001.0a1b2c3d"}
    for name in names:
        push_artifact(target, {"a.txt": name.encode()}, name)
    push_artifact(target, {"a.txt": b"without a tag"})
    listed = list(target.tags())
    assert set(listed) == names
    assert len(listed) == len(names)


def test_two_tags_may_name_one_manifest(target: Target) -> None:
    descriptor = push_artifact(target, {"a.txt": b"a"}, "v1")
    target.tag(descriptor, "latest")
    assert target.resolve("v1") == target.resolve("latest") == descriptor


def test_untag_removes_one_tag_and_leaves_the_manifest(target: Target) -> None:
    assert isinstance(target, Deletes)
    assert isinstance(target, ListsTags)
    descriptor = push_artifact(target, {"a.txt": b"a"}, "v1")
    target.tag(descriptor, "v2")
    try:
        target.untag("v1")
    except UnsupportedError:
        assert set(target.tags()) == {"v1", "v2"}
        return
    assert set(target.tags()) == {"v2"}
    with pytest.raises(NotFoundError):
        target.resolve("v1")
    assert target.resolve(str(descriptor.digest)) == descriptor


def test_untag_of_an_unknown_tag_is_refused(target: Target) -> None:
    assert isinstance(target, Deletes)
    push_artifact(target, {"a.txt": b"a"}, "v1")
    with pytest.raises((NotFoundError, UnsupportedError)):
        target.untag("v2")


def test_referrers_are_found_by_their_subject(target: Target) -> None:
    assert isinstance(target, ListsReferrers)
    subject = push_artifact(target, {"a.txt": b"a"}, "v1")
    other = push_artifact(target, {"a.txt": b"other"}, "v2")
    assert list(target.referrers(subject)) == []
    signature = push_artifact(
        target,
        {"s": b"sig"},
        subject=subject,
        artifact_type="application/vnd.example.signature",
        annotations={"by": "me"},
    )
    report = push_artifact(
        target, {"r": b"report"}, "report", subject=subject, artifact_type="application/vnd.example.report"
    )
    push_artifact(target, {"s": b"sig"}, subject=other, artifact_type="application/vnd.example.signature")

    found = {one.digest: one for one in target.referrers(subject)}
    assert found.keys() == {signature.digest, report.digest}
    assert found[signature.digest].annotations["by"] == "me"
    assert found[signature.digest].artifact_type == "application/vnd.example.signature"
    assert found[signature.digest].plain() == signature
    assert [one.digest for one in target.referrers(subject, "application/vnd.example.report")] == [report.digest]
    assert list(target.referrers(subject, "application/vnd.example.nothing")) == []


def test_the_subject_of_a_manifest_may_come_later(target: Target) -> None:
    assert isinstance(target, ListsReferrers)
    subject = manifest_of({"a.txt": b"a"}).descriptor
    referrer = push_artifact(target, {"s": b"sig"}, subject=subject)
    assert push_artifact(target, {"a.txt": b"a"}, "v1") == subject
    assert [one.digest for one in target.referrers(subject)] == [referrer.digest]


@pytest.mark.parametrize("data", [b"", noise((1 << 20) + 1)], ids=["empty", "more than a block"])
def test_added_bytes_get_their_digest(target: Target, data: bytes) -> None:
    if not isinstance(target, Adds):
        pytest.skip("it cannot take in bytes whose digest is not known yet")
    for _ in range(2):
        assert target.add(opener_of(data)) == (Digest.of_bytes(data), len(data))
        assert fetch_bytes(target, blob_of(data)) == data
