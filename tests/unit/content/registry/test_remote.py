"""A repository as a target, against a registry that misbehaves and against real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kitpack.content.registry.repository import Repository
from kitpack.content.target import (
    Deletes,
    ListsReferrers,
    ListsTags,
    TakesMissing,
    Target,
    fetch_bytes,
    fetch_manifest,
    opener_of,
)
from kitpack.errors import (
    AuthError,
    IntegrityError,
    InvalidManifestError,
    InvalidReferenceError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.manifest import Manifest, build_manifest
from kitpack.oci.mediatypes import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.support.bundles import noise
from tests.support.registries import KINDS, running_registry
from tests.support.registry import Registry, Reply, Seen, serving, settings_in

CONFIG = Descriptor.of_bytes("application/vnd.example.config", b"{}")
MANIFEST = build_manifest(artifact_type="application/vnd.example", config=CONFIG, layers=[], annotations={"a": "b"})
RAW = MANIFEST.raw
DIGEST = str(MANIFEST.descriptor.digest)
OTHER = "sha256:" + "a" * 64


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry(native_referrers=True)) as running:
        yield running


def push(target: Target, manifest: Manifest) -> None:
    target.push(manifest.descriptor, opener_of(manifest.raw))


def test_a_repository_can_do_all_that_a_place_may_do(repository: Repository) -> None:
    assert isinstance(repository, ListsTags)
    assert isinstance(repository, ListsReferrers)
    assert isinstance(repository, Deletes)
    assert isinstance(repository, TakesMissing)


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        *[
            ("r.example", name)
            for name in ("", "UP", "a:b", "a/../b", "a//b", "a/", "a%2fb", "a?b", "a@sha256:b", "\u0430")
        ],
        *[(registry, "a") for registry in ("", "r", "r.example/x", "u@r.example", "http://r.example", "r.example:0")],
    ],
)
def test_odd_names_are_refused(tmp_path: Path, registry: str, name: str) -> None:
    with pytest.raises(InvalidReferenceError):
        Repository(registry, name, settings_in(tmp_path))


@pytest.mark.parametrize(
    "reference", ["", "a b", "-x", "x" * 129, "a/b", "x\r\nX: y", "sha256:abc", "..", "a?b", "a#b", "%2e"]
)
def test_odd_references_are_refused_before_anything_is_sent(
    registry: Registry, repository: Repository, reference: str
) -> None:
    for action in (
        lambda: repository.resolve(reference),
        lambda: repository.tag(MANIFEST.descriptor, reference),
        lambda: repository.untag(reference),
    ):
        with pytest.raises(InvalidReferenceError):
            action()
    assert registry.seen == []


# resolve


@pytest.mark.parametrize("reference", ["v1", DIGEST])
def test_a_manifest_is_resolved_by_its_headers(registry: Registry, repository: Repository, reference: str) -> None:
    registry.add_manifest(OCI_MANIFEST, RAW, "v1")
    assert repository.resolve(reference) == MANIFEST.descriptor
    (seen,) = registry.seen
    assert seen.method == "HEAD"
    assert set(seen.headers["accept"].split(", ")) >= {OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST}


@pytest.mark.parametrize(
    "head",
    [
        Reply(status=405),
        Reply(status=400),
        Reply(status=501),
        Reply(body=RAW, headers={"Content-Type": OCI_MANIFEST}),
        Reply(body=RAW, headers={"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": "sha256:../../x"}),
        Reply(body=RAW, headers={"Content-Type": "text/html", "Docker-Content-Digest": OTHER}),
        Reply(chunked=True, headers={"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": OTHER}),
    ],
)
def test_a_manifest_is_read_when_its_headers_do_not_say_enough(
    registry: Registry, repository: Repository, head: Reply
) -> None:
    registry.rule("HEAD", "manifests", head)
    wrong = {"Content-Type": f"{OCI_MANIFEST}; charset=utf-8", "Docker-Content-Digest": OTHER}
    registry.rule("GET", "manifests", Reply(body=RAW, headers=wrong))
    assert repository.resolve("v1") == MANIFEST.descriptor


def test_a_lie_about_the_digest_is_found_when_the_manifest_is_read(registry: Registry, repository: Repository) -> None:
    headers = {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": OTHER}
    registry.rule("HEAD", "manifests", Reply(body=RAW, headers=headers))
    registry.rule("GET", "manifests", Reply(body=RAW, headers=headers))
    with pytest.raises(IntegrityError):
        fetch_manifest(repository, repository.resolve("v1"))


@pytest.mark.parametrize("headers", [{"Docker-Content-Digest": OTHER}, {}])
def test_another_digest_than_asked_for_is_refused(
    registry: Registry, repository: Repository, headers: dict[str, str]
) -> None:
    reply = Reply(body=RAW + b" ", headers={"Content-Type": OCI_MANIFEST, **headers})
    registry.rule("HEAD", "manifests", reply)
    registry.rule("GET", "manifests", reply)
    with pytest.raises(IntegrityError, match="was asked for"):
        repository.resolve(DIGEST)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(body=b"<html>", headers={"Content-Type": "text/html"}), RegistryError),
        (Reply(body=RAW), RegistryError),
        (Reply(body=RAW, headers={"Content-Type": "application/json"}), RegistryError),
        (Reply(body=b" " * ((4 << 20) + 1), headers={"Content-Type": OCI_MANIFEST}), RegistryError),
        (Reply(status=404), NotFoundError),
    ],
)
def test_what_is_no_manifest_is_not_resolved(
    registry: Registry, repository: Repository, reply: Reply, error: type[Exception]
) -> None:
    registry.rule("HEAD", "manifests", Reply(status=405))
    registry.rule("GET", "manifests", reply)
    with pytest.raises(error):
        repository.resolve("v1")


def test_what_is_missing_is_not_found(repository: Repository) -> None:
    for action in (
        lambda: repository.resolve("v1"),
        lambda: repository.resolve(OTHER),
        lambda: repository.fetch(CONFIG),
        lambda: repository.tag(MANIFEST.descriptor, "v1"),
        lambda: repository.untag("v1"),
    ):
        with pytest.raises(NotFoundError):
            action()
    assert not repository.exists(CONFIG)
    assert not repository.exists(MANIFEST.descriptor)


def test_content_of_another_size_is_neither_there_nor_missing(registry: Registry, repository: Repository) -> None:
    registry.rule("HEAD", "blobs", Reply(body=b"{} "))
    with pytest.raises(IntegrityError, match="3 bytes"):
        repository.exists(CONFIG)


def test_content_without_an_announced_size_is_there(registry: Registry, repository: Repository) -> None:
    registry.rule("HEAD", "blobs", Reply(chunked=True))
    assert repository.exists(CONFIG)


# manifests


def test_a_manifest_is_stored_byte_for_byte_and_tagged_without_reading_it_again(
    registry: Registry, repository: Repository
) -> None:
    push(repository, MANIFEST)
    repository.tag(MANIFEST.descriptor, "v1")
    repository.tag(MANIFEST.descriptor, "v2")
    assert registry.manifests == {DIGEST: (OCI_MANIFEST, RAW)}
    assert registry.tags == {"v1": DIGEST, "v2": DIGEST}
    assert [seen.method for seen in registry.seen] == ["HEAD", "PUT", "PUT", "PUT"]


def test_a_manifest_found_there_is_read_to_be_tagged(registry: Registry, repository: Repository) -> None:
    registry.add_manifest(OCI_MANIFEST, RAW)
    repository.tag(MANIFEST.descriptor, "v1")
    assert registry.tags == {"v1": DIGEST}
    assert registry.asked("PUT")[0].body == RAW


def test_missing_content_is_named(registry: Registry, repository: Repository) -> None:
    body = {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown", "detail": {"digest": OTHER}}]}
    registry.rule("PUT", "manifests", Reply(status=400, body=json.dumps(body).encode()))
    with pytest.raises(NotFoundError, match=OTHER):
        push(repository, MANIFEST)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=201, headers={"Docker-Content-Digest": OTHER}), IntegrityError),
        (Reply(status=200), RegistryError),
        (Reply(status=400), RegistryError),
        (Reply(status=404), NotFoundError),
        (Reply(status=413), RegistryError),
    ],
)
def test_a_manifest_that_is_not_stored_as_it_is(
    registry: Registry, repository: Repository, reply: Reply, error: type[Exception]
) -> None:
    registry.rule("PUT", "manifests", reply)
    with pytest.raises(error):
        push(repository, MANIFEST)


@pytest.mark.parametrize(
    ("raw", "error"), [(b"{}", InvalidManifestError), (b"<html>", InvalidManifestError), (RAW[:-1], IntegrityError)]
)
def test_broken_manifests_are_not_sent(
    registry: Registry, repository: Repository, raw: bytes, error: type[Exception]
) -> None:
    descriptor = Descriptor.of_bytes(OCI_MANIFEST, raw if raw != RAW[:-1] else RAW)
    with pytest.raises(error):
        repository.push(descriptor, opener_of(raw))
    assert registry.asked("PUT") == []


# tags


def test_tags_are_read_page_by_page(registry: Registry, repository: Repository) -> None:
    names = [f"v{number:04}" for number in range(2500)]
    registry.tags = dict.fromkeys(names, DIGEST)
    assert list(repository.tags()) == names
    assert len(registry.seen) == 3


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"name": "x", "tags": null}', []),
        (b'{"name": "x"}', []),
        (b'{"tags": ["b", "a"]}', ["b", "a"]),
        (b'{"tags": ["a", 5, null, "\\u001b[2J", "-x", ""]}', ["a"]),
    ],
)
def test_lists_of_tags(registry: Registry, repository: Repository, body: bytes, names: list[str]) -> None:
    registry.rule("GET", "tags", Reply(body=body))
    assert list(repository.tags()) == names


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"tags": "a"}', b'{"tags": {"a": 1}}', b'{"a":1,"a":2}'])
def test_what_is_no_list_of_tags(registry: Registry, repository: Repository, body: bytes) -> None:
    registry.rule("GET", "tags", Reply(body=body))
    with pytest.raises(RegistryError):
        list(repository.tags())


@pytest.mark.parametrize(
    "link",
    [
        '</v2/team/bot/tags/list?last=a>; rel="next"',
        "</v2/team/bot/tags/list?last=a>; rel=next",
        "<list?last=a>;rel=NEXT",
        "<{url}/v2/team/bot/tags/list?last=a>; title=x; rel=next",
        '<https://r.example/>; rel="prev", <list?last=a>; rel="next"',
    ],
)
def test_links_to_the_next_page(registry: Registry, repository: Repository, link: str) -> None:
    registry.rule("GET", "tags", Reply(body=b'{"tags": ["a"]}', headers={"Link": link.format(url=registry.url)}))
    registry.rule("GET", "last=a", Reply(body=b'{"tags": ["b"]}'))
    assert list(repository.tags()) == ["a", "b"]


@pytest.mark.parametrize(
    "link",
    [
        "<http://r.example/v2/x>; rel=next",
        "<//r.example/v2/x>; rel=next",
        "<http://169.254.169.254/latest>; rel=next",
        "<file:///etc/passwd>; rel=next",
        "<http://me@127.0.0.1/>; rel=next",
        "</v2/team/bot/tags/list?n=1000>; rel=next",
    ],
)
def test_pages_elsewhere_or_in_a_circle_are_refused(registry: Registry, repository: Repository, link: str) -> None:
    registry.rule("GET", "tags", Reply(body=b'{"tags": ["a"]}', headers={"Link": link}), last_stays=True)
    with pytest.raises(RegistryError):
        list(repository.tags())
    assert len(registry.seen) == 1


def test_pages_without_end_end(registry: Registry, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitpack.content.registry.paging.MAX_PAGES", 20)
    registry.rules.append(
        lambda seen: Reply(body=b'{"tags": []}', headers={"Link": f"<list?last={len(registry.seen)}>; rel=next"})
    )
    with pytest.raises(RegistryError, match="more than 20 pages"):
        list(repository.tags())


def _endless(size: int, name: str) -> Callable[[Seen], Reply]:
    """Pages that never end, with so many tags each."""

    def page(seen: Seen) -> Reply:
        tags = json.dumps({"tags": [f"{name}{index:x}" for index in range(size)]}).encode()
        return Reply(body=tags, headers={"Link": f"<list?last={seen.path.rpartition('=')[2]}0>; rel=next"})

    return page


def test_tags_without_end_end(registry: Registry, repository: Repository) -> None:
    registry.rules.append(_endless(300_000, ""))
    with pytest.raises(RegistryError, match="more than 1000000 tags"):
        list(repository.tags())
    assert len(registry.seen) == 4


def test_pages_are_counted_in_bytes(
    registry: Registry, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitpack.content.registry.paging.MAX_PAGES_BYTES", 100_000)
    registry.rules.append(_endless(500, "x" * 100))
    with pytest.raises(RegistryError, match="more than 100000 bytes in all"):
        list(repository.tags())
    assert len(registry.seen) == 2


@pytest.mark.parametrize(
    "location",
    [
        "/signed?SECRET",
        "http://127.0.0.1:1/signed?a|b&SECRET",
        "http://a..b/signed?SECRET",
        "http://127.0.0.1:1/signed?SECRET",
        "ftp://u:SECRET@bucket.invalid/signed?SECRET",
    ],
)
def test_signed_addresses_keep_their_secrets(registry: Registry, repository: Repository, location: str) -> None:
    registry.rule("HEAD", "manifests", Reply(status=307, headers={"Location": location}), last_stays=True)
    registry.rule("GET", "manifests", Reply(status=307, headers={"Location": location}), last_stays=True)
    registry.rule("GET", "signed", Reply(body=b"<html>", headers={"Content-Type": "text/html"}), last_stays=True)
    registry.rule("HEAD", "signed", Reply(headers={"Content-Type": "text/html"}), last_stays=True)
    with pytest.raises(RegistryError) as caught:
        repository.resolve("v1")
    assert "SECRET" not in f"{caught.value.message} {caught.value.hint}"


def test_an_unknown_repository_has_no_tags(registry: Registry, repository: Repository) -> None:
    registry.rule("GET", "tags", Reply(status=404, body=b'{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}'))
    with pytest.raises(NotFoundError, match="NAME_UNKNOWN"):
        list(repository.tags())


def test_a_tag_is_removed_alone(registry: Registry, repository: Repository) -> None:
    registry.add_manifest(OCI_MANIFEST, RAW, "v1")
    repository.untag("v1")
    assert registry.tags == {}
    assert registry.asked("DELETE")[0].path == "/v2/team/bot/manifests/v1"


@pytest.mark.parametrize("status", [400, 405, 501])
def test_a_registry_that_cannot_remove_a_tag_says_so(registry: Registry, repository: Repository, status: int) -> None:
    registry.rule("DELETE", "manifests", Reply(status=status))
    with pytest.raises(UnsupportedError, match="cannot remove a tag"):
        repository.untag("v1")


def test_a_tag_of_an_unknown_repository_is_not_found(registry: Registry, repository: Repository) -> None:
    registry.rule("DELETE", "manifests", Reply(status=400, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}'))
    with pytest.raises(NotFoundError):
        repository.untag("v1")


# ping


def test_ping(registry: Registry, repository: Repository) -> None:
    repository.ping()
    assert registry.seen[0].path == "/v2/"


@pytest.mark.parametrize(
    ("reply", "error"),
    [(Reply(status=404), RegistryError), (Reply(status=401), AuthError), (Reply(status=302), RegistryError)],
)
def test_ping_something_else(registry: Registry, repository: Repository, reply: Reply, error: type[Exception]) -> None:
    registry.rule("GET", "/v2/", reply)
    with pytest.raises(error):
        repository.ping()


# real registries


@pytest.fixture(scope="module", params=KINDS)
def real(request: pytest.FixtureRequest) -> Iterator[str]:
    with running_registry(request.param) as address:
        yield address


def test_a_bundle_goes_to_a_real_registry_and_back(real: str, tmp_path: Path) -> None:
    data = noise(3_000_000)
    layers = [Descriptor.of_bytes("application/octet-stream", part) for part in (data, b"")]
    manifest = build_manifest(artifact_type="application/vnd.example", config=CONFIG, layers=layers, annotations={})
    attached = build_manifest(
        artifact_type="application/vnd.note",
        config=CONFIG,
        layers=[],
        annotations={"a": "b"},
        subject=manifest.descriptor,
    )
    with Repository(real, "team/bot", settings_in(tmp_path)) as repository:
        repository.ping()
        with pytest.raises(NotFoundError, match=r"sha256:[0-9a-f]{64}"):
            push(repository, manifest)
        for blob, content in zip([*layers, CONFIG], [data, b"", b"{}"], strict=True):
            repository.push(blob, opener_of(content))
            repository.push(blob, opener_of(content))
            assert repository.exists(blob)
            assert fetch_bytes(repository, blob) == content
        with repository.fetch(layers[0], 2_999_999) as stream:
            assert stream.read() == data[-1:]
        push(repository, manifest)
        push(repository, attached)
        for tag in ("v1", "production"):
            repository.tag(manifest.descriptor, tag)
        assert repository.resolve("production") == manifest.descriptor
        assert fetch_manifest(repository, repository.resolve("v1")).raw == manifest.raw
        assert {"v1", "production"} <= set(repository.tags())
        (found,) = repository.referrers(manifest.descriptor, "application/vnd.note")
        assert (found.digest, dict(found.annotations)) == (attached.descriptor.digest, {"a": "b"})
        assert list(repository.referrers(manifest.descriptor, "application/vnd.other")) == []


def test_a_real_registry_mounts(real: str, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with Repository(real, "mount/source", settings) as source:
        source.push(CONFIG, opener_of(b"{}"))
        target = Repository(real, "mount/target", settings, transport=source.transport)
        assert not target.push_missing(CONFIG, opener_of(b""), source)
        assert target.exists(CONFIG)
        nowhere = Descriptor.of_bytes("x/y", b"nowhere")
        assert target.push_missing(nowhere, opener_of(b"nowhere"), source)
        assert target.exists(nowhere)


def test_a_real_registry_without_the_repository(real: str, tmp_path: Path) -> None:
    with Repository(real, "nobody/nothing", settings_in(tmp_path)) as repository:
        with pytest.raises(NotFoundError):
            repository.resolve("v1")
        with pytest.raises((NotFoundError, UnsupportedError)):
            repository.untag("v1")
        assert list(repository.referrers(MANIFEST.descriptor)) == []
