"""What there is: tags and repositories in pages, and referrers."""

from __future__ import annotations

import json
import re

import pytest

from kitpack.content.store.layout import Layout
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import OCI_INDEX, OCI_MANIFEST
from tests.support.bundles import index_of, manifest_of, push_artifact
from tests.support.distribution import Client

NOWHERE = Digest.of_bytes(b"nowhere")
TAGS = ["1", "10", "2", "B", "_x", "a", "a.b", "b"]


def _follow(client: Client, path: str, member: str) -> list[list[str]]:
    pages = []
    while path:
        answer = client.get(path)
        pages.append(answer.json[member])
        link = re.fullmatch('<(.*)>; rel="next"', answer.headers.get("Link", ""))
        path = link[1] if link else ""
    return pages


@pytest.fixture
def tagged(client: Client) -> Client:
    manifest = client.push_bundle("a")
    query = "&".join(f"tag={tag}" for tag in reversed(TAGS))
    client.push_manifest("a", manifest, f"{manifest.digest}?{query}")
    return client


def test_tags_in_the_order_of_their_characters(tagged: Client) -> None:
    answer = tagged.get("/v2/a/tags/list")
    assert answer.json == {"name": "a", "tags": TAGS}
    assert "Link" not in answer.headers


@pytest.mark.parametrize(
    ("query", "tags", "is_last"),
    [
        ("n=3", TAGS[:3], False),
        ("n=8", TAGS, True),
        ("n=0", [], True),
        ("n=00003", TAGS[:3], False),
        (f"n={'9' * 500}", TAGS, True),
        ("last=2", TAGS[3:], True),
        ("last=2&n=2", TAGS[3:5], False),
        ("last=zzz", [], True),
        ("last=C&n=1", TAGS[4:5], False),
        ("n=0&last=2", [], True),
        ("last=", TAGS, True),
    ],
)
def test_pages_of_tags(tagged: Client, query: str, tags: list[str], is_last: bool) -> None:
    answer = tagged.get(f"/v2/a/tags/list?{query}")
    assert answer.json["tags"] == tags
    assert ("Link" not in answer.headers) == is_last


def test_pages_lead_to_the_end(tagged: Client) -> None:
    assert _follow(tagged, "/v2/a/tags/list?n=3", "tags") == [TAGS[:3], TAGS[3:6], TAGS[6:]]


@pytest.mark.parametrize("count", ["-1", "x", "1.5", "", "1e3", "%D9%A3"])
def test_a_number_that_is_none(tagged: Client, count: str) -> None:
    for path in ("/v2/a/tags/list", "/v2/_catalog", f"/v2/a/referrers/{NOWHERE}"):
        assert tagged.get(f"{path}?n={count}").status == 400


def test_an_unknown_repository_has_no_tags(client: Client) -> None:
    answer = client.get("/v2/a/tags/list")
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])


def test_all_repositories(client: Client, layout: Layout) -> None:
    assert client.get("/v2/_catalog").json == {"repositories": []}
    for repository in ("b", "a/c", "a"):
        push_artifact(layout, {"a": b"a"}, f"{repository}:1")
    assert _follow(client, "/v2/_catalog?n=2", "repositories") == [["a", "a/c"], ["b"]]


def test_referrers_say_what_their_manifests_say(client: Client) -> None:
    subject = client.push_bundle("a", "v1")
    client.push_blob("a", b"s")
    one = manifest_of({"s": b"s"}, subject=subject.descriptor, artifact_type="x/one", annotations={"k": "v"})
    client.push_manifest("a", one, "tagged")
    plain = {**json.loads(one.raw), "annotations": {}}
    del plain["artifactType"]
    raw = json.dumps(plain).encode()
    client("PUT", f"/v2/a/manifests/{Digest.of_bytes(raw)}", raw, Content_Type=OCI_MANIFEST)
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject.descriptor.to_dict()}
    ).encode()
    answer = client("PUT", f"/v2/a/manifests/{Digest.of_bytes(index)}", index, Content_Type=OCI_INDEX)
    assert answer.headers["OCI-Subject"] == str(subject.digest)
    found = client.get(f"/v2/a/referrers/{subject.digest}")
    assert (found.status, found.headers["Content-Type"]) == (200, OCI_INDEX)
    assert found.json["schemaVersion"] == 2
    assert found.json["mediaType"] == OCI_INDEX
    listed = {entry["digest"]: entry for entry in found.json["manifests"]}
    assert listed == {
        str(one.digest): {**one.descriptor.to_dict(), "artifactType": "x/one", "annotations": {"k": "v"}},
        str(Digest.of_bytes(raw)): {
            "mediaType": OCI_MANIFEST,
            "digest": str(Digest.of_bytes(raw)),
            "size": len(raw),
            "artifactType": json.loads(raw)["config"]["mediaType"],
        },
        str(Digest.of_bytes(index)): {
            "mediaType": OCI_INDEX,
            "digest": str(Digest.of_bytes(index)),
            "size": len(index),
        },
    }
    filtered = client.get(f"/v2/a/referrers/{subject.digest}?artifactType=x/one")
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry["digest"] for entry in filtered.json["manifests"]] == [str(one.digest)]
    assert client.referrers("b", subject.digest) == []


def test_nothing_refers_to_what_nobody_knows(client: Client) -> None:
    answer = client.get(f"/v2/nobody/referrers/{NOWHERE}")
    assert (answer.status, answer.headers["Content-Type"], answer.json["manifests"]) == (200, OCI_INDEX, [])
    for wrong in ("x", "sha256:1", "latest"):
        assert client.get(f"/v2/a/referrers/{wrong}").codes == ["DIGEST_INVALID"]


def test_pages_of_referrers(client: Client, layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "a:v1")
    bulk = {"fill": "x" * 700_000}
    pushed = [
        push_artifact(layout, {"s": str(number).encode()}, subject=subject, artifact_type="x/y", annotations=bulk)
        for number in range(6)
    ]
    pages = _follow(client, f"/v2/a/referrers/{subject.digest}?artifactType=x/y", "manifests")
    assert [len(page) for page in pages] == [4, 2]
    found = [entry["digest"] for page in pages for entry in page]  # type: ignore[index]
    assert found == sorted(str(one.digest) for one in pushed)


def test_what_an_older_client_listed_under_a_tag_is_found(client: Client) -> None:
    subject = client.push_bundle("a", "v1")
    about = client.push_bundle("other", text=b"s", subject=subject)
    stranger = client.push_bundle("other", text=b"t")
    assert client.referrers("a", subject.digest) == []
    listed = index_of([about.descriptor, stranger.descriptor])
    client.push_manifest("a", listed, f"sha256-{subject.digest.hex}")
    assert client.referrers("a", subject.digest) == [str(about.digest)]
