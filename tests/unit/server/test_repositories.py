"""One layout is many repositories: which of them shows which manifest, and what is left when tags and manifests go."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitpack.content.store.audit import audit
from kitpack.content.store.collect import collect_garbage
from kitpack.content.store.index import name_of, repository_of
from kitpack.content.store.layout import Layout
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.mediatypes import ANNOTATION_REPOSITORY
from kitpack.server import serving
from tests.support.bundles import index_of, manifest_of, push_artifact, push_manifest
from tests.support.distribution import Client, talking

LATER = 2e10


def _collect(layout: Layout, *, untagged: bool = False) -> int:
    return collect_garbage(layout, untagged=untagged, now=lambda: LATER).blobs


def _marks(layout: Layout) -> list[tuple[str, str]]:
    """Entries without a name: their repository and digest."""
    return [(repository_of(entry), str(entry.digest)) for entry in layout.index().entries if not name_of(entry)]


def test_what_lost_its_tag_can_still_be_pulled_by_digest(client: Client, layout: Layout) -> None:
    old = client.push_bundle("a", "v", text=b"old")
    new = client.push_bundle("a", "v", text=b"new")
    assert _marks(layout) == [("a", str(old.digest))]
    assert client("DELETE", "/v2/a/manifests/v").status == 202
    assert not client.has("a", "v")
    assert client.tags("a") == []
    assert client.has("a", old.digest)
    assert client.has("a", new.digest)
    assert not client.has("b", old.digest)
    assert list(layout.tags()) == []
    assert list(audit(layout)) == []
    assert _collect(layout) == 0
    assert client.has("a", old.digest)
    assert _collect(layout, untagged=True) == 5
    assert client.get("/v2/a/tags/list").codes == ["NAME_UNKNOWN"]
    assert layout.index().entries == ()


def test_one_entry_is_enough(client: Client, layout: Layout) -> None:
    manifest = client.push_bundle("a")
    for _ in range(2):
        client.push_manifest("a", manifest)
    assert _marks(layout) == [("a", str(manifest.digest))]
    client.push_manifest("b", manifest)
    client.push_manifest("a", manifest, "v")
    assert _marks(layout) == [("b", str(manifest.digest))]
    client.push_manifest("a", manifest)
    assert _marks(layout) == [("b", str(manifest.digest))]
    client("DELETE", "/v2/a/manifests/v")
    assert sorted(_marks(layout)) == [("a", str(manifest.digest)), ("b", str(manifest.digest))]


def test_a_deleted_manifest_is_gone_here_and_stays_elsewhere(client: Client, layout: Layout) -> None:
    manifest = client.push_bundle("a", "v1")
    client.push_manifest("a", manifest, "v2")
    client.push_manifest("b", manifest, "v1")
    assert client("DELETE", f"/v2/a/manifests/{manifest.digest}").status == 202
    for selector in ("v1", "v2", manifest.digest):
        assert not client.has("a", selector)
        assert client("DELETE", f"/v2/a/manifests/{selector}").status == 404
    assert client.has("b", "v1")
    assert client.has("b", manifest.digest)
    assert client("DELETE", f"/v2/b/manifests/{manifest.digest}").status == 202
    assert _collect(layout) == 3


def test_parts_of_an_index_belong_to_its_repository(client: Client, layout: Layout) -> None:
    part = push_artifact(layout, {"a": b"part"})
    inner = push_manifest(layout, index_of([part]))
    push_manifest(layout, index_of([inner]), "a:v1")
    for digest in (part.digest, inner.digest):
        assert client.has("a", digest)
        assert not client.has("b", digest)
        answer = client("DELETE", f"/v2/a/manifests/{digest}")
        assert (answer.status, answer.codes) == (405, ["DENIED"])
    client("DELETE", f"/v2/a/manifests/{layout.resolve('a:v1').digest}")
    assert not client.has("a", part.digest)


def test_pushed_parts_are_kept_by_their_index_alone(client: Client, layout: Layout) -> None:
    part = client.push_bundle("a")
    index = index_of([part.descriptor])
    client.push_manifest("a", index, "v1")
    assert _collect(layout, untagged=True) == 0
    assert client.has("a", part.digest)
    client("DELETE", "/v2/a/manifests/v1")
    assert _collect(layout, untagged=True) == 4


def test_entries_without_name_or_mark_belong_to_every_repository(client: Client, layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "a:v1")
    layout.tag(subject, "b:v1")
    push_artifact(layout, {"c": b"c"}, "c:v1")
    about = push_artifact(layout, {"s": b"s"}, subject=subject)
    for repository in ("a", "b", "c"):
        assert client.has(repository, about.digest)
        assert client.referrers(repository, subject.digest) == [str(about.digest)]
    assert client.referrers("unknown", subject.digest) == []
    assert client("DELETE", f"/v2/a/manifests/{about.digest}").status == 202
    assert not client.has("a", about.digest)
    assert client.referrers("a", subject.digest) == []
    assert client.referrers("b", subject.digest) == [str(about.digest)]
    assert [one.digest for one in layout.referrers(subject)] == [about.digest]
    assert _collect(layout) == 0
    client("DELETE", f"/v2/b/manifests/{about.digest}")
    assert list(layout.referrers(subject)) == []


def test_a_manifest_cannot_choose_its_repository(client: Client, layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "a:v1")
    marked = {ANNOTATION_REPOSITORY: "b"}
    about = push_artifact(layout, {"s": b"s"}, subject=subject, annotations=marked)
    assert _marks(layout) == [("", str(about.digest))]
    assert client.has("a", about.digest)


def test_a_referrer_that_one_repository_lists_can_be_brought_for_all(client: Client, layout: Layout) -> None:
    subject = client.push_bundle("a", "v1")
    about = client.push_bundle("a", text=b"about", subject=subject)
    layout.tag(subject.descriptor, "b:v1")
    assert client.referrers("b", subject.digest) == []
    push_manifest(layout, about)
    assert client.referrers("b", subject.digest) == [str(about.digest)]
    assert client.referrers("a", subject.digest) == [str(about.digest)]
    assert len(list(layout.referrers(subject.descriptor))) == 1


def test_bare_names_are_in_the_repository_of_the_folder(layout: Layout, client: Client) -> None:
    old = push_artifact(layout, {"a": b"old"}, "1.0")
    assert client.get("/v2/_catalog").json == {"repositories": ["store"]}
    assert client.tags("store") == ["1.0"]
    new = client.push_bundle("store", "1.0", text=b"new")
    assert list(layout.tags()) == ["1.0"]
    assert layout.resolve("1.0").digest == new.digest
    assert client.has("store", old.digest)
    push_artifact(layout, {"a": b"whole"}, "store:1.0")
    assert client.get("/v2/store/manifests/1.0").headers["Docker-Content-Digest"] == str(
        layout.resolve("store:1.0").digest
    )
    client("DELETE", "/v2/store/manifests/1.0")
    assert not client.has("store", "1.0")
    assert list(layout.tags()) == []


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("assistant:1.4.0", "assistant"),
        ("team/bot:1", "team/bot"),
        ("registry.example/team/bot:1", "registry.example/team/bot"),
        ("localhost:5000/team/bot:1", ""),
        ("Team/Bot:1", ""),
        ("a//b:1", ""),
        ("bot:", ""),
        ("bot:-x", ""),
        (f"bot@sha256:{'0' * 64}", ""),
        (f"{'a' * 254}:1", "a" * 254),
        (f"{'a' * 255}:1", ""),
    ],
)
def test_which_names_can_be_asked_for(layout: Layout, client: Client, name: str, repository: str) -> None:
    push_artifact(layout, {"a": b"a"}, name)
    assert client.get("/v2/_catalog").json == {"repositories": [repository] if repository else []}
    if repository:
        assert client.has(repository, name.rpartition(":")[2])


@pytest.mark.parametrize("repository", ["registry.example/bot", "localhost/bot", "127.0.0.1/bot", "v1.2/bot"])
def test_nothing_is_pushed_under_the_name_of_another_registry(client: Client, repository: str) -> None:
    manifest = manifest_of({})
    answers = [
        client("POST", f"/v2/{repository}/blobs/uploads/", b""),
        client.push_manifest(repository, manifest, "v1"),
        client.push_manifest(repository, manifest),
    ]
    for answer in answers:
        assert (answer.status, answer.codes) == (400, ["NAME_INVALID"])
        assert "another registry" in answer.message


def test_a_folder_that_can_be_no_repository_hides_bare_names(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "My Store")
    push_artifact(layout, {"a": b"a"}, "1.0")
    with serving(layout) as url, talking(url) as client:
        assert client.get("/v2/_catalog").json == {"repositories": []}


def test_a_layout_of_digests_alone(layout: Layout, client: Client) -> None:
    manifest = push_artifact(layout, {"a": b"a"})
    _list_unnamed(layout, manifest)
    assert client.has("store", manifest.digest)
    assert client.get("/v2/_catalog").json == {"repositories": ["store"]}


def _list_unnamed(layout: Layout, entry: Descriptor) -> None:
    from kitpack.content.store.index import change_index

    change_index(layout.path, lambda index: index.with_entry(entry))
