"""Sending blobs: whole, proven, and never with credentials to strangers."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.content.memory import Memory
from kitpack.content.registry.credentials import Credential
from kitpack.content.registry.repository import Repository
from kitpack.content.registry.transport import Transport
from kitpack.content.registry.upload import CHUNK
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
    assert [method for method in methods(registry) if method != "DELETE"] == ["HEAD", "POST", "PUT"] * 3


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


def other(repository: Repository, tmp_path: Path) -> Repository:
    """Another repository of the same registry."""
    return Repository(repository.registry, "team/source", settings_in(tmp_path), transport=repository.transport)


def test_blobs_are_mounted_from_another_repository(registry: Registry, repository: Repository, tmp_path: Path) -> None:
    registry.add_blob(DATA)
    assert not repository.push_missing(BLOB, never, other(repository, tmp_path))
    (post,) = registry.seen
    assert post.path == f"{UPLOADS}?mount=sha256%3A{BLOB.digest.hex}&from=team%2Fsource"


def never(offset: int) -> BinaryIO:
    raise AssertionError("nothing had to be read")


def test_what_cannot_be_mounted_is_sent_in_the_same_session(
    registry: Registry, repository: Repository, tmp_path: Path
) -> None:
    assert repository.push_missing(BLOB, opener_of(DATA), other(repository, tmp_path))
    assert methods(registry) == ["POST", "PUT"]
    assert registry.blobs == {str(BLOB.digest): DATA}


def test_a_session_at_an_odd_place_is_not_used(registry: Registry, repository: Repository, tmp_path: Path) -> None:
    odd = Reply(status=202, headers={"Location": f"{UPLOADS}?mount=sha256%3Ax&from=y/session"})
    registry.rule("POST", "mount=", odd)
    assert repository.push_missing(BLOB, opener_of(DATA), other(repository, tmp_path))
    assert methods(registry) == ["POST", "POST", "PUT"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_refused_mount_is_no_failure(registry: Registry, repository: Repository, tmp_path: Path, status: int) -> None:
    registry.rule("POST", "mount=", Reply(status=status, headers={"WWW-Authenticate": 'Bearer realm="x"'}))
    assert repository.push_missing(BLOB, opener_of(DATA), other(repository, tmp_path))
    assert registry.blobs == {str(BLOB.digest): DATA}


def test_only_other_repositories_of_the_same_registry_can_be_mounted_from(
    registry: Registry, repository: Repository, tmp_path: Path
) -> None:
    elsewhere = Repository("r.example", "team/source", settings_in(tmp_path))
    for source in (repository, elsewhere, Memory()):
        assert repository.push_missing(BLOB, opener_of(DATA), source)
    assert registry.asked("POST", "mount=") == []


def test_a_mount_needs_to_read_the_source(registry: Registry, tmp_path: Path) -> None:
    with serving(Registry()) as server, Repository(registry.address, "a", settings_in(tmp_path)) as target:
        challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}
        server.rule("GET", "/token", Reply(body=b'{"token": "t"}'))
        registry.rule("POST", "/v2/a/", Reply(status=401, headers=challenge))
        registry.add_blob(DATA)
        source = Repository(registry.address, "b", settings_in(tmp_path), transport=target.transport)
        assert not target.push_missing(BLOB, never, source)
        assert server.seen[0].query("scope") == ["repository:a:pull,push", "repository:b:pull"]


def test_an_answer_that_is_lost_costs_a_question(registry: Registry, repository: Repository) -> None:
    def store_and_break(seen: Seen) -> Reply | None:
        if seen.method != "PUT" or registry.blobs:
            return None
        registry.add_blob(seen.body)
        return Reply(status=0)

    registry.rules.append(store_and_break)
    assert repository.push_missing(BLOB, opener_of(DATA), Memory())
    assert methods(registry).count("PUT") == 1
    assert methods(registry)[-1] == "HEAD"


BIG_DATA = noise(1 << 20) * 40
BIG = Descriptor.of_bytes("application/octet-stream", BIG_DATA)


def break_off(registry: Registry, *kept: int) -> None:
    """Break the next requests that send bytes; of each, so many have arrived."""
    left = list(kept)

    def rule(seen: Seen) -> Reply | None:
        if seen.method not in {"PUT", "PATCH"} or not left or not seen.body:
            return None
        registry.arrived += seen.body[: left.pop(0)]
        return Reply(status=0)

    registry.rules.append(rule)


def sent(registry: Registry) -> int:
    """Bytes of blobs that went out."""
    return sum(len(seen.body) for seen in registry.seen if seen.method in {"PUT", "PATCH"})


def test_a_broken_upload_goes_on_where_it_was(registry: Registry, repository: Repository) -> None:
    break_off(registry, 30 << 20)
    repository.push(BIG, opener_of(BIG_DATA))
    assert registry.blobs == {str(BIG.digest): BIG_DATA}
    assert methods(registry) == ["HEAD", "POST", "PUT", "GET", "PATCH", "PUT"]
    assert sent(registry) == len(BIG_DATA) + (10 << 20)
    assert registry.asked("PATCH")[0].headers["content-range"] == f"{30 << 20}-{(40 << 20) - 1}"


def test_a_break_costs_the_rest_of_one_chunk(registry: Registry, repository: Repository) -> None:
    break_off(registry, 0, CHUNK // 2, 0, CHUNK // 4)
    repository.push(BIG, opener_of(BIG_DATA))
    assert registry.blobs == {str(BIG.digest): BIG_DATA}
    assert methods(registry).count("POST") == 2  # nothing had arrived at the first break
    assert sent(registry) - len(BIG_DATA) <= len(BIG_DATA) + 3 * CHUNK


def test_large_blobs_go_in_chunks_after_a_break(registry: Registry, repository: Repository) -> None:
    break_off(registry, 20 << 20)
    repository.push(BIG, opener_of(BIG_DATA))
    registry.seen.clear()
    more = b"more" + BIG_DATA
    repository.push(Descriptor.of_bytes("x/y", more), opener_of(more))
    repository.push(BLOB, opener_of(DATA))
    assert methods(registry) == ["HEAD", "POST", *["PATCH"] * 3, "PUT", "HEAD", "POST", "PUT"]


def test_a_registry_says_how_large_a_chunk_has_to_be(registry: Registry, repository: Repository) -> None:
    break_off(registry, 2)
    least = {"Location": f"{UPLOADS}session", "OCI-Chunk-Min-Length": str(30 << 20)}
    registry.rule("POST", UPLOADS, Reply(status=202, headers=least))
    repository.push(BIG, opener_of(BIG_DATA))
    assert [len(seen.body) for seen in registry.asked("PATCH")] == [30 << 20, (10 << 20) - 2]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=202, headers={"Location": f"{UPLOADS}session"}),
        Reply(status=201, headers={"Location": f"{UPLOADS}session", "Range": "0-9999999"}),
        Reply(status=416),
        Reply(status=405),
        Reply(status=400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}'),
    ],
    ids=["no range", "a range that stands still", "416", "405", "400"],
)
def test_a_registry_that_does_not_count_gets_blobs_whole(
    registry: Registry, repository: Repository, reply: Reply
) -> None:
    break_off(registry, 20 << 20)
    registry.rule("PATCH", UPLOADS, reply)
    repository.push(BIG, opener_of(BIG_DATA))
    assert registry.blobs == {str(BIG.digest): BIG_DATA}
    assert methods(registry) == ["HEAD", "POST", "PUT", "GET", "PATCH", "DELETE", "HEAD", "POST", "PUT"]
    registry.seen.clear()
    more = b"more" + BIG_DATA
    repository.push(Descriptor.of_bytes("x/y", more), opener_of(more))
    assert methods(registry) == ["HEAD", "POST", "PUT"]


@pytest.mark.parametrize("state", [{"Range": "0-99999999"}, {"Range": "0-0"}, {"Range": "x"}, {}], ids=str)
def test_a_session_that_is_not_what_it_was_is_not_used(
    registry: Registry, repository: Repository, state: dict[str, str]
) -> None:
    break_off(registry, 20 << 20)
    registry.rule("GET", UPLOADS, Reply(status=204, headers={"Location": f"{UPLOADS}session", **state}))
    repository.push(BIG, opener_of(BIG_DATA))
    assert registry.blobs == {str(BIG.digest): BIG_DATA}
    assert methods(registry).count("POST") == 2


def test_a_registry_that_loses_what_it_took_gets_it_again(registry: Registry, repository: Repository) -> None:
    break_off(registry, 20 << 20)

    def swap(seen: Seen) -> Reply | None:
        if seen.method == "GET" and "uploads" in seen.path:
            registry.arrived[:4] = b"\0\0\0\0"
        return None

    registry.rules.insert(0, swap)
    repository.push(BIG, opener_of(BIG_DATA))
    assert registry.blobs == {str(BIG.digest): BIG_DATA}


def test_a_file_that_changes_while_it_is_sent_again_is_never_stored(registry: Registry, repository: Repository) -> None:
    opened: list[int] = []

    def open_at(offset: int) -> BinaryIO:
        opened.append(offset)
        return io.BytesIO(BIG_DATA[offset:] if len(opened) == 1 else b"x" * (len(BIG_DATA) - offset))

    break_off(registry, 20 << 20)
    with pytest.raises((IntegrityError, RegistryError)):
        repository.push(BIG, open_at)
    assert registry.blobs == {}


def test_a_server_may_take_its_time_to_read(registry: Registry, tmp_path: Path) -> None:
    transport = Transport(registry.address, settings_in(tmp_path), timeouts=(0.2, 20.0))
    repository = Repository(registry.address, "team/bot", settings_in(tmp_path), transport=transport)
    with repository, socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen()
        place = f"http://127.0.0.1:{slow.getsockname()[1]}/put"
        registry.rule("POST", UPLOADS, Reply(status=202, headers={"Location": place}))
        reader = threading.Thread(target=_read_late, args=(slow, len(BIG_DATA)))
        reader.start()
        repository.push(BIG, opener_of(BIG_DATA))
        reader.join()


def _read_late(listener: socket.socket, size: int) -> None:
    """Take a request, look away for longer than a connection may take to open, and read it then."""
    with listener.accept()[0] as connection:
        threading.Event().wait(0.6)
        left = size
        while left > 0:
            left -= len(connection.recv(1 << 20))
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
