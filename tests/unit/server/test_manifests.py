"""Manifests over HTTP: stored byte for byte, found by tag and digest, changed only on the conditions that are set."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from kitpack.content.store.audit import audit
from kitpack.content.store.layout import Layout
from kitpack.content.target import fetch_manifest
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import encode
from kitpack.oci.manifest import MAX_MANIFEST_SIZE, Manifest
from kitpack.oci.mediatypes import DOCKER_MANIFEST, EMPTY_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.support.bundles import CONFIG, blob_of, index_of, manifest_of, push_artifact
from tests.support.distribution import Client

NOWHERE = Digest.of_bytes(b"nowhere")


def test_the_very_bytes_come_back(client: Client) -> None:
    client.push_blob("a", CONFIG)
    raw = b'{ "schemaVersion": 2,\n\t"config": %s, "layers": [], "x": {"y": [1.50]} }\n' % encode(
        blob_of(CONFIG, EMPTY_CONFIG).to_dict()
    )
    digest = Digest.of_bytes(raw)
    answer = client("PUT", "/v2/a/manifests/v1", raw, Content_Type=f"{DOCKER_MANIFEST}; charset=utf-8")
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, str(digest))
    assert client.get(answer.headers["Location"]).status == 200
    for selector in ("v1", str(digest), quote(str(digest), safe="")):
        head, found = client("HEAD", f"/v2/a/manifests/{selector}"), client.get(f"/v2/a/manifests/{selector}")
        assert (found.status, found.body, found.headers["Content-Type"]) == (200, raw, DOCKER_MANIFEST)
        assert found.headers["ETag"] == f'"{digest}"'
        for name in ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag"):
            assert head.headers[name] == found.headers[name]


def test_by_digest_of_either_algorithm(client: Client) -> None:
    manifest = client.push_bundle("a")
    assert client.has("a", manifest.digest)
    other = Digest.of_bytes(manifest.raw, "sha512")
    assert client.push_manifest("a", manifest, str(other)).headers["Docker-Content-Digest"] == str(other)
    assert client.get(f"/v2/a/manifests/{other}").body == manifest.raw
    for wrong in (NOWHERE, "sha256:baddigeststring"):
        answer = client.push_manifest("a", manifest, str(wrong))
        assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
        assert client.get(f"/v2/a/manifests/{wrong}").status in (400, 404)


def test_several_tags_at_once(client: Client) -> None:
    manifest = client.push_bundle("a")
    tags = [f"v{number}" for number in range(12)]
    query = "&".join(f"tag={tag}" for tag in [*tags, "v1"])
    answer = client.push_manifest("a", manifest, f"{manifest.digest}?{query}")
    assert (answer.status, answer.headers["OCI-Tag"]) == (201, ", ".join(tags))
    assert client.tags("a") == sorted(tags)
    assert client.push_manifest("a", manifest, "v1?tag=v2").status == 400
    assert client.push_manifest("a", manifest, f"{manifest.digest}?tag=-no").status == 400


def test_a_subject_is_acknowledged_and_need_not_be_there(client: Client) -> None:
    absent = manifest_of({"absent": b"absent"})
    about = client.push_bundle("a", subject=absent)
    assert client.push_manifest("a", about).headers["OCI-Subject"] == str(absent.digest)
    assert client.referrers("a", absent.digest) == [str(about.digest)]


def test_everything_that_is_missing_is_named(client: Client, layout: Layout) -> None:
    manifest = manifest_of({"a": b"one", "b": b"two"})
    client.push_blob("a", b"one")
    answer = client.push_manifest("a", manifest, "v1")
    assert (answer.status, answer.codes) == (400, ["MANIFEST_BLOB_UNKNOWN"] * 2)
    assert str(Digest.of_bytes(b"two")) in answer.message
    assert str(Digest.of_bytes(b"one")) not in answer.message
    index = index_of([manifest.descriptor])
    assert client.push_manifest("a", index).codes == ["MANIFEST_BLOB_UNKNOWN"]
    assert layout.index().entries == ()


def test_a_child_of_another_size_is_missing(client: Client) -> None:
    client.push_blob("a", CONFIG)
    value = json.loads(manifest_of({}).raw)
    value["config"]["size"] = 3
    answer = client("PUT", "/v2/a/manifests/v1", encode(value), Content_Type=OCI_MANIFEST)
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ],
)
def test_layers_that_stay_with_their_maker_need_not_come(client: Client, layout: Layout, media_type: str) -> None:
    client.push_blob("a", CONFIG)
    value = json.loads(manifest_of({}).raw)
    value["layers"] = [{"mediaType": media_type, "digest": str(NOWHERE), "size": 9, "urls": ["https://maker.example"]}]
    assert client("PUT", "/v2/a/manifests/v1", encode(value), Content_Type=OCI_MANIFEST).status == 201
    assert list(audit(layout)) == []
    layout.tag(layout.resolve("a:v1"), "b:v1")
    assert client.has("b", "v1")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"schemaVersion":1}',
        b'{"schemaVersion":2,"schemaVersion":2,"manifests":[]}',
        b'{"schemaVersion":2,"manifests":[],"layers":[]}',
        b'{"schemaVersion":2,"manifests":{}}',
        b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:../../etc","size":1}]}',
        b'{"schemaVersion":2,"manifests":[],"x":NaN}',
        b'{"schemaVersion":2,"manifests":[],"x":1' + b"0" * 5000 + b"}",
        b'{"schemaVersion":2,"manifests":[],"x":' + b"[" * 200_000,
        b'{"schemaVersion":2,"manifests":[],"x":' + b'{"a":' * 200_000,
        b"\xff\xfe{}",
        b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v1+json","fsLayers":[]}',
    ],
    ids=range(15),
)
def test_what_is_no_manifest_is_refused(client: Client, raw: bytes) -> None:
    answer = client("PUT", "/v2/a/manifests/v1", raw)
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])
    assert client.get("/v2/a/tags/list").status == 404


@pytest.mark.parametrize("announced", [OCI_INDEX, DOCKER_MANIFEST, "text/html", "application/json"])
def test_what_is_announced_as_something_else_is_refused(client: Client, announced: str) -> None:
    manifest = client.push_bundle("a")
    answer = client("PUT", "/v2/a/manifests/v1", manifest.raw, Content_Type=announced)
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])


def test_four_mebibytes_and_not_one_more(client: Client) -> None:
    client.push_blob("a", CONFIG)
    empty = manifest_of({}, annotations={"fill": ""})
    full = manifest_of({}, annotations={"fill": "x" * (MAX_MANIFEST_SIZE - len(empty.raw))})
    assert client.push_manifest("a", full, "full").status == 201
    assert client.get("/v2/a/manifests/full").body == full.raw
    for body in (full.raw + b" ", iter([full.raw, b" "])):
        answer = client("PUT", "/v2/a/manifests/v1", body, Content_Type=OCI_MANIFEST)
        assert (answer.status, answer.codes) == (413, ["SIZE_INVALID"])


def test_who_has_it_is_not_sent_it_again(client: Client) -> None:
    manifest = client.push_bundle("a", "v1")
    for given in (f'"{manifest.digest}"', f'W/"{manifest.digest}", "x"', "*"):
        answer = client.get("/v2/a/manifests/v1", If_None_Match=given)
        assert (answer.status, answer.body) == (304, b"")
    assert client.get("/v2/a/manifests/v1", If_None_Match='"x"').body == manifest.raw


def test_a_tag_moves_only_on_the_conditions_that_are_set(client: Client) -> None:
    first, second, third = (client.push_bundle("a", text=text) for text in (b"1", b"2", b"3"))
    assert client.push_manifest("a", first, "v", If_Match=f'"{first.digest}"').status == 412
    assert client.push_manifest("a", first, "v", If_Match="*").status == 412
    assert client.push_manifest("a", first, "v", If_None_Match="*").status == 201
    again = client.push_manifest("a", second, "v", If_None_Match="*")
    assert (again.status, again.codes) == (412, ["DENIED"])
    assert str(first.digest) in again.message
    assert client.push_manifest("a", second, "v", If_Match=f'"{third.digest}"').status == 412
    assert client.push_manifest("a", second, "v", If_Match=f'W/"{first.digest}"').status == 412
    assert client.push_manifest("a", second, "v", If_Match=f'"x", "{first.digest}"').status == 201
    assert client.push_manifest("a", second, "v", If_None_Match=f'"{second.digest}"').status == 412
    assert client("DELETE", "/v2/a/manifests/v", If_Match=f'"{first.digest}"').status == 412
    assert client.has("a", "v")
    assert client("DELETE", "/v2/a/manifests/v", If_Match=f'"{second.digest}"').status == 202


def test_a_damaged_manifest_is_not_served(client: Client, layout: Layout) -> None:
    manifest = client.push_bundle("a", "v1")
    path = layout.path / "blobs" / "sha256" / manifest.digest.hex
    path.chmod(0o600)
    path.write_bytes(manifest.raw.replace(b"2", b"3", 1))
    answer = client.get("/v2/a/manifests/v1")
    assert (answer.status, answer.codes) == (500, ["UNKNOWN"])
    assert str(layout.path) not in answer.message
    assert client.push_manifest("a", manifest, "v1").status == 201
    assert client.get("/v2/a/manifests/v1").body == manifest.raw


def test_a_manifest_that_was_served_and_is_gone_is_gone(client: Client, layout: Layout) -> None:
    manifest = client.push_bundle("a", "v1")
    assert client.has("a", "v1")
    (layout.path / "blobs" / "sha256" / manifest.digest.hex).unlink()
    assert client.get("/v2/a/manifests/v1").status == 404


def test_what_kitpack_writes_is_served_at_once_and_the_other_way_round(client: Client, layout: Layout) -> None:
    written = push_artifact(layout, {"a": b"written"}, "team/bot:1")
    assert client.get("/v2/team/bot/manifests/1").headers["Docker-Content-Digest"] == str(written.digest)
    push_artifact(layout, {"a": b"other"}, "team/bot:1")
    assert client.get("/v2/team/bot/manifests/1").headers["Docker-Content-Digest"] != str(written.digest)
    layout.untag("team/bot:1")
    assert client.get("/v2/team/bot/manifests/1").status == 404
    pushed = client.push_bundle("assistant", "1.4.0")
    assert fetch_manifest(layout, layout.resolve("assistant:1.4.0")) == Manifest.parse(pushed.raw, OCI_MANIFEST)
    assert list(layout.tags()) == ["assistant:1.4.0"]
