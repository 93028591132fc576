"""Sending blobs: whole, proven, and never with credentials to strangers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.content.registry.credentials import Credential
from kitpack.content.registry.repository import Repository
from kitpack.content.registry.transport import Transport
from kitpack.content.target import opener_of
from kitpack.errors import IntegrityError, NotFoundError, RegistryError
from kitpack.oci.descriptor import Descriptor
from tests.support.bundles import noise
from tests.support.registry import Registry, Reply, Seen, serving, settings_in

DATA = noise(300_000)
BLOB = Descriptor.of_bytes("application/octet-stream", DATA)
UPLOADS = "/v2/team/bot/blobs/uploads/"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as running:
        yield running


@pytest.fixture
def repository(registry: Registry, tmp_path: Path) -> Iterator[Repository]:
    settings = settings_in(tmp_path)
    credential = Credential(registry_token="secret")
    transport = Transport(registry.address, settings, credential=credential, sleep=lambda seconds: None)
    with Repository(registry.address, "team/bot", settings, transport=transport) as made:
        yield made


def ask_for_login(registry: Registry) -> None:
    def guard(seen: Seen) -> Reply | None:
        if seen.headers.get("authorization") == "Bearer secret":
            return None
        return Reply(status=401, headers={"WWW-Authenticate": 'Bearer realm="x"'})

    registry.rules.append(guard)


def methods(registry: Registry) -> list[str]:
    return [seen.method for seen in registry.seen]


@pytest.mark.parametrize("data", [b"", b"x", DATA, noise(1 << 20), noise((1 << 20) + 1)], ids=len)
def test_a_blob_is_stored_in_two_requests(registry: Registry, repository: Repository, data: bytes) -> None:
    blob = Descriptor.of_bytes("application/octet-stream", data)
    repository.push(blob, opener_of(data))
    assert registry.blobs[str(blob.digest)] == data
    assert methods(registry) == ["HEAD", "POST", "PUT"]
    post, put = registry.seen[1:]
    assert post.headers["content-length"] == "0"
    assert put.headers["content-length"] == str(len(data))
    assert put.headers["content-type"] == "application/octet-stream"
    assert "content-range" not in put.headers
    assert put.path == f"{UPLOADS}session?_state=a%3D%3D&digest=sha256%3A{blob.digest.hex}"


def test_what_is_there_is_not_sent_again(registry: Registry, repository: Repository) -> None:
    registry.add_blob(DATA)
    repository.push(BLOB, opener_of(DATA))
    assert methods(registry) == ["HEAD"]


def test_sha512_is_proven_as_well(registry: Registry, repository: Repository) -> None:
    digest = BLOB.digest.of_bytes(DATA, "sha512")
    repository.push(Descriptor(media_type="x/y", digest=digest, size=len(DATA)), opener_of(DATA))
    assert str(digest) in registry.blobs


@pytest.mark.parametrize("found", [DATA[:-1], DATA + b"x", DATA[:-1] + b"x", b"", b"x" + DATA[1:]])
def test_other_local_bytes_are_never_stored(registry: Registry, repository: Repository, found: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        repository.push(BLOB, opener_of(found))
    assert "pack again" in caught.value.hint
    assert "kitpack verify" in caught.value.hint
    assert registry.blobs == {}
    assert methods(registry)[:2] == ["HEAD", "POST"]
    assert "PUT" not in methods(registry)
    assert methods(registry)[-1] == "DELETE"


def test_local_bytes_that_should_be_none(registry: Registry, repository: Repository) -> None:
    with pytest.raises(IntegrityError):
        repository.push(Descriptor.of_bytes("x/y", b""), opener_of(b"x"))
    assert registry.blobs == {}


class Unreadable(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(5, "Input/output error")


def test_a_local_file_that_cannot_be_read_is_no_failure_of_the_network(
    registry: Registry, repository: Repository
) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        repository.push(BLOB, lambda offset: Unreadable(DATA))
    assert methods(registry).count("POST") == 1


def test_a_local_file_that_is_gone(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        repository.push(BLOB, lambda offset: (tmp_path / "gone").open("rb"))


def test_every_stream_is_closed(registry: Registry, repository: Repository) -> None:
    opened: list[BinaryIO] = []

    def open_at(offset: int) -> BinaryIO:
        opened.append(io.BytesIO(DATA[offset:]))
        return opened[-1]

    registry.rule("PUT", UPLOADS, Reply(status=503), Reply(status=0))
    repository.push(BLOB, open_at)
    assert len(opened) == 3
    assert all(stream.closed for stream in opened)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=0),
        Reply(status=500),
        Reply(status=503, headers={"Retry-After": "1"}),
        Reply(status=404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"gone"}]}'),
    ],
)
def test_a_lost_upload_starts_over_with_a_fresh_session(
    registry: Registry, repository: Repository, reply: Reply
) -> None:
    registry.rule("PUT", UPLOADS, reply, reply)
    repository.push(BLOB, opener_of(DATA))
    assert registry.blobs == {str(BLOB.digest): DATA}
    assert [method for method in methods(registry) if method != "DELETE"] == ["HEAD", *["POST", "PUT"] * 3]


def test_uploads_are_given_up_in_the_end(registry: Registry, repository: Repository) -> None:
    registry.rule("PUT", UPLOADS, Reply(status=502), last_stays=True)
    with pytest.raises(RegistryError, match="502"):
        repository.push(BLOB, opener_of(DATA))
    assert methods(registry).count("POST") == methods(registry).count("PUT") == 5


@pytest.mark.parametrize(
    ("status", "error", "hint"),
    [(413, RegistryError, "limit"), (400, RegistryError, ""), (200, RegistryError, ""), (404, NotFoundError, "name")],
)
def test_a_refused_upload_is_cancelled(
    registry: Registry, repository: Repository, status: int, error: type[RegistryError], hint: str
) -> None:
    registry.rule("PUT", UPLOADS, Reply(status=status))
    with pytest.raises(error) as caught:
        repository.push(BLOB, opener_of(DATA))
    assert hint in caught.value.hint
    assert methods(registry) == ["HEAD", "POST", "PUT", "DELETE"]


def test_a_session_that_cannot_be_cancelled_hides_nothing(registry: Registry, repository: Repository) -> None:
    registry.rule("PUT", UPLOADS, Reply(status=400))
    registry.rule("DELETE", UPLOADS, Reply(status=0))
    with pytest.raises(RegistryError, match="PUT"):
        repository.push(BLOB, opener_of(DATA))


@pytest.mark.parametrize(
    "location", ["", "file:///tmp/x", "ftp://r.example/x", "http://me:pw@127.0.0.1/x", "http://[x"]
)
def test_an_upload_without_a_place_is_refused(registry: Registry, repository: Repository, location: str) -> None:
    registry.rule("POST", UPLOADS, Reply(status=202, headers={"Location": location}))
    with pytest.raises(RegistryError):
        repository.push(BLOB, opener_of(DATA))
    assert methods(registry) == ["HEAD", "POST"]


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/v2/team/bot/blobs/uploads/1", "/v2/team/bot/blobs/uploads/1?"),
        ("1?state=x&y=%2B", "/v2/team/bot/blobs/uploads/1?state=x&y=%2B&"),
        ("{url}/elsewhere?a#fragment", "/elsewhere?a&"),
    ],
)
def test_locations_of_every_form(registry: Registry, repository: Repository, location: str, path: str) -> None:
    registry.rule("POST", UPLOADS, Reply(status=202, headers={"Location": location.format(url=registry.url)}))
    registry.rule("PUT", "", Reply(status=201))
    repository.push(BLOB, opener_of(DATA))
    assert registry.seen[-1].path == f"{path}digest=sha256%3A{BLOB.digest.hex}"


def test_an_upload_elsewhere_gets_no_credentials(registry: Registry, repository: Repository) -> None:
    ask_for_login(registry)
    with serving(Registry()) as elsewhere:
        registry.rule("POST", UPLOADS, Reply(status=202, headers={"Location": f"{elsewhere.url}/put?sig=x"}))
        elsewhere.rule("PUT", "/put", Reply(status=201))
        repository.push(BLOB, opener_of(DATA))
        (seen,) = elsewhere.seen
    assert seen.body == DATA
    assert "authorization" not in seen.headers
    assert registry.seen[-1].headers["authorization"] == "Bearer secret"


def test_an_upload_elsewhere_does_not_answer_a_login(registry: Registry, repository: Repository) -> None:
    ask_for_login(registry)
    with serving(Registry()) as elsewhere:
        registry.rule("POST", UPLOADS, Reply(status=202, headers={"Location": f"{elsewhere.url}/put"}))
        elsewhere.rule("PUT", "/put", Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="give"'}))
        with pytest.raises(RegistryError):
            repository.push(BLOB, opener_of(DATA))
        assert not any("authorization" in seen.headers for seen in elsewhere.seen)


def test_a_token_that_expires_on_the_way_is_renewed(registry: Registry, tmp_path: Path) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{registry.url}/token"'}
    issued: list[str] = []

    def guard(seen: Seen) -> Reply | None:
        if seen.path.startswith("/token"):
            issued.append(f"t{len(issued) + 1}")
            return Reply(body=b'{"token": "%b"}' % issued[-1].encode())
        if seen.method == "PUT" and len(issued) < 3:
            return Reply(status=401, headers=challenge)
        return None if "authorization" in seen.headers else Reply(status=401, headers=challenge)

    registry.rules.append(guard)
    with Repository(registry.address, "team/bot", settings_in(tmp_path)) as repository:
        repository.push(BLOB, opener_of(DATA))
    assert registry.blobs == {str(BLOB.digest): DATA}
    assert [seen.headers["authorization"] for seen in registry.asked("PUT")] == ["Bearer t2", "Bearer t3"]


def test_blobs_are_mounted_from_another_repository(registry: Registry, repository: Repository, tmp_path: Path) -> None:
    registry.add_blob(DATA)
    source = Repository(registry.address, "team/source", settings_in(tmp_path), transport=repository.transport)
    assert repository.mount(BLOB, source)
    (post,) = registry.seen
    assert post.path == f"{UPLOADS}?mount=sha256%3A{BLOB.digest.hex}&from=team%2Fsource"


def test_an_ordinary_session_instead_of_a_mount_is_cancelled(
    registry: Registry, repository: Repository, tmp_path: Path
) -> None:
    source = Repository(registry.address, "team/source", settings_in(tmp_path), transport=repository.transport)
    assert not repository.mount(BLOB, source)
    assert methods(registry) == ["POST", "DELETE"]


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_refused_mount_is_no_failure(registry: Registry, repository: Repository, tmp_path: Path, status: int) -> None:
    registry.rule("POST", UPLOADS, Reply(status=status))
    source = Repository(registry.address, "team/source", settings_in(tmp_path), transport=repository.transport)
    assert not repository.mount(BLOB, source)


def test_only_other_repositories_of_the_same_registry_can_be_mounted_from(
    registry: Registry, repository: Repository, tmp_path: Path
) -> None:
    assert not repository.mount(BLOB, repository)
    assert not repository.mount(BLOB, Repository("r.example", "team/source", settings_in(tmp_path)))
    assert registry.seen == []


def test_a_mount_needs_to_read_the_source(registry: Registry, tmp_path: Path) -> None:
    with serving(Registry()) as server, Repository(registry.address, "a", settings_in(tmp_path)) as target:
        challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}
        server.rule("GET", "/token", Reply(body=b'{"token": "t"}'))
        registry.rule("POST", "/v2/a/", Reply(status=401, headers=challenge))
        registry.add_blob(DATA)
        assert target.mount(BLOB, Repository(registry.address, "b", settings_in(tmp_path), transport=target.transport))
        assert server.seen[0].query("scope") == ["repository:a:pull,push", "repository:b:pull"]
