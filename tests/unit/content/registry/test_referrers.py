"""Referrers, at registries with and without an API for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kitpack.content.registry.referrers import MAX_REFERRERS, entry_of, fallback_tag, with_entry
from kitpack.content.registry.repository import Repository
from kitpack.content.target import opener_of
from kitpack.errors import InvalidManifestError, RegistryError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest, build_manifest
from kitpack.oci.mediatypes import OCI_INDEX, OCI_MANIFEST
from tests.support.registry import Registry, Reply, Seen, serving, settings_in

CONFIG = Descriptor.of_bytes("application/vnd.example.config", b"{}")
SUBJECT = build_manifest(artifact_type="application/vnd.bundle", config=CONFIG, layers=[], annotations={}).descriptor
TAG = f"sha256-{SUBJECT.digest.hex}"


def note(text: str, artifact_type: str = "application/vnd.note", subject: Descriptor = SUBJECT) -> Manifest:
    return build_manifest(
        artifact_type=artifact_type, config=CONFIG, layers=[], annotations={"text": text}, subject=subject
    )


def push(repository: Repository, *manifests: Manifest) -> None:
    for manifest in manifests:
        repository.push(manifest.descriptor, opener_of(manifest.raw))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as running:
        yield running


def listed(registry: Registry) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = json.loads(registry.manifests[registry.tags[TAG]][1])["manifests"]
    return entries


def test_the_tag_is_made_from_the_digest() -> None:
    assert fallback_tag(SUBJECT.digest) == TAG
    assert fallback_tag(Digest("sha512", "ab" * 64)) == "sha512-" + "ab" * 32


def test_an_index_keeps_everything_else_in_it() -> None:
    first, second = entry_of(note("a")), entry_of(note("b"))
    raw = b'{"schemaVersion":2,"odd":[1],"mediaType":"%b","manifests":[],"annotations":{"x":"y"}}' % OCI_INDEX.encode()
    raw = with_entry(Manifest.parse(raw), first)
    raw = with_entry(Manifest.parse(raw), second)
    assert with_entry(Manifest.parse(raw), second) == raw
    value = json.loads(raw)
    assert (value["odd"], value["annotations"]) == ([1], {"x": "y"})
    assert value["manifests"] == [first.to_dict(), second.to_dict()]


def test_without_an_api_referrers_are_listed_under_a_tag(registry: Registry, repository: Repository) -> None:
    notes = [note("a"), note("b"), note("c", "application/vnd.other")]
    push(repository, *notes, notes[0])
    assert listed(registry) == [entry_of(manifest).to_dict() for manifest in notes]
    assert list(repository.referrers(SUBJECT)) == [entry_of(manifest) for manifest in notes]
    assert list(repository.referrers(SUBJECT, "application/vnd.other")) == [entry_of(notes[2])]
    assert len(registry.asked("GET", "/referrers/")) == 1


def test_with_an_api_no_tag_is_written(registry: Registry, repository: Repository) -> None:
    registry.native_referrers = True
    notes = [note("a"), note("b", "application/vnd.other")]
    push(repository, *notes)
    assert registry.tags == {}
    assert {found.digest for found in repository.referrers(SUBJECT)} == {entry.descriptor.digest for entry in notes}
    assert list(repository.referrers(SUBJECT, "application/vnd.other")) == [entry_of(notes[1])]
    assert registry.seen[-1].query("artifactType") == ["application/vnd.other"]


def test_a_referrer_pushed_before_is_listed_when_it_was_not(registry: Registry, repository: Repository) -> None:
    lost = note("a")
    registry.add_manifest(OCI_MANIFEST, lost.raw)
    push(repository, lost)
    assert listed(registry) == [entry_of(lost).to_dict()]


def test_an_entry_lost_to_another_writer_is_written_again(registry: Registry, repository: Repository) -> None:
    mine, other = note("mine"), note("other")
    theirs = with_entry(None, entry_of(other))
    left = [theirs, theirs]

    def overwrite(seen: Seen) -> Reply | None:
        if seen.method == "HEAD" and TAG in seen.path and registry.tags.get(TAG) and left:
            registry.add_manifest(OCI_INDEX, left.pop(), TAG)
        return None

    registry.rules.append(overwrite)
    push(repository, mine)
    assert [entry["digest"] for entry in listed(registry)] == [str(n.descriptor.digest) for n in (other, mine)]


def test_an_entry_that_is_lost_for_ever_is_an_error(registry: Registry, repository: Repository) -> None:
    theirs = with_entry(None, entry_of(note("other")))
    registry.add_manifest(OCI_INDEX, theirs, TAG)
    registry.rule("PUT", TAG, Reply(status=201), last_stays=True)
    with pytest.raises(RegistryError, match="at the same time"):
        push(repository, note("mine"))
    assert len(registry.asked("PUT", TAG)) == 5


def test_a_tag_that_names_something_else_is_left_alone(registry: Registry, repository: Repository) -> None:
    taken = note("not an index")
    registry.add_manifest(OCI_MANIFEST, taken.raw, TAG)
    with pytest.raises(InvalidManifestError, match="index of referrers"):
        push(repository, note("a"))
    assert registry.tags[TAG] == str(taken.descriptor.digest)


def test_what_the_index_says_is_not_trusted(registry: Registry, repository: Repository) -> None:
    """Some tools write the config's type and no annotations; others could list what refers to something else."""
    right = note("a")
    elsewhere = note("b", subject=CONFIG)
    plain = build_manifest(artifact_type="application/vnd.note", config=CONFIG, layers=[], annotations={})
    entries = []
    for manifest in (right, right, elsewhere, plain):
        registry.add_manifest(OCI_MANIFEST, manifest.raw)
        entries.append({**manifest.descriptor.to_dict(), "artifactType": "application/vnd.oci.empty.v1+json"})
    gone = {**note("gone").descriptor.to_dict(), "artifactType": "application/vnd.note"}
    blob = {**CONFIG.to_dict(), "artifactType": "application/vnd.note"}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*entries, gone, blob]}
    registry.add_manifest(OCI_INDEX, json.dumps(index).encode(), TAG)
    assert list(repository.referrers(SUBJECT, "application/vnd.note")) == [entry_of(right)]


def test_too_many_referrers_are_refused(registry: Registry, repository: Repository) -> None:
    digests = [str(Digest.of_bytes(str(number).encode())) for number in range(MAX_REFERRERS + 1)]
    entries = [{"mediaType": OCI_MANIFEST, "digest": digest, "size": 2} for digest in digests]
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    registry.add_manifest(OCI_INDEX, raw, TAG)
    with pytest.raises(RegistryError, match="1001 referrers"):
        list(repository.referrers(SUBJECT))
    registry.rule("GET", "/referrers/", Reply(body=raw, headers={"Content-Type": OCI_INDEX}))
    native = Repository(repository.registry, "team/bot", settings_in(Path()), transport=repository.transport)
    with pytest.raises(RegistryError, match="more than 1000"):
        list(native.referrers(SUBJECT))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=404, body=b"404 page not found"),
        Reply(status=404, body=b'{"errors":[{"code":"UNSUPPORTED"}]}'),
        Reply(status=400),
        Reply(status=405),
        Reply(status=501),
        Reply(status=303, headers={"Location": "http://127.0.0.1:1/ui"}),
        Reply(body=b"<html>", headers={"Content-Type": "text/html"}),
        Reply(body=b"{}", headers={"Content-Type": "application/json"}),
    ],
)
def test_registries_without_an_api_answer_anything(registry: Registry, repository: Repository, reply: Reply) -> None:
    registry.rule("GET", "/referrers/", reply, last_stays=True)
    push(repository, note("a"))
    assert list(repository.referrers(SUBJECT)) == [entry_of(note("a"))]
    assert len(registry.asked("GET", "/referrers/")) == 1


def test_an_unknown_repository_says_nothing_about_the_api(registry: Registry, repository: Repository) -> None:
    unknown = Reply(status=404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}')
    registry.rule("GET", "/referrers/", unknown)
    assert list(repository.referrers(SUBJECT)) == []
    registry.native_referrers = True
    push(repository, note("a"))
    assert registry.tags == {}


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_a_refusal_is_not_taken_for_a_missing_api(registry: Registry, repository: Repository, status: int) -> None:
    registry.rule("GET", "/referrers/", Reply(status=status), last_stays=True)
    with pytest.raises(RegistryError):
        list(repository.referrers(SUBJECT))


def test_pages_are_followed_and_filtered_again(registry: Registry, repository: Repository) -> None:
    wanted, other = entry_of(note("a")), entry_of(note("b", "application/vnd.other"))

    def page(*entries: Descriptor) -> bytes:
        value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.to_dict() for entry in entries]}
        return json.dumps(value).encode()

    headers = {"Content-Type": f"{OCI_INDEX}; charset=utf-8"}
    registry.rule("GET", "page=2", Reply(body=page(wanted, other), headers=headers))
    registry.rule(
        "GET", "/referrers/", Reply(body=page(other, wanted), headers={**headers, "Link": "<?page=2>; rel=next"})
    )
    assert list(repository.referrers(SUBJECT, "application/vnd.note")) == [wanted]


@pytest.mark.parametrize("manifests", ["null", "{}", "[1]", '[{"digest": "x"}]'])
def test_a_list_that_is_none(registry: Registry, repository: Repository, manifests: str) -> None:
    body = f'{{"manifests": {manifests}}}'.encode()
    registry.rule("GET", "/referrers/", Reply(body=body, headers={"Content-Type": OCI_INDEX}))
    with pytest.raises((RegistryError, InvalidManifestError)):
        list(repository.referrers(SUBJECT))
