"""Who may come in, who may change something, and who is told what."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from kitpack.content.store.layout import Layout
from kitpack.errors import NotFoundError, StoreError, UsageError
from kitpack.server import serving
from kitpack.server.access import Passwords
from tests.support.bundles import manifest_of, push_artifact
from tests.support.distribution import Client, talking
from tests.support.serving import make_certificate


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _line(user: str, password: str, prefix: bytes = b"2y") -> str:
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4))
    return f"{user}:{hashed.replace(b'2b', prefix, 1).decode()}\n"


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(
        "# people\n\n" + _line("ann", "secret") + _line("bob", "pass:word", b"2a") + _line("zoë", "ü", b"2b")
    )
    return path


@pytest.fixture
def guarded(layout: Layout, users: Path) -> Iterator[Client]:
    with serving(layout, htpasswd=users) as url, talking(url) as client:
        yield client


@pytest.mark.parametrize(("user", "password"), [("ann", "secret"), ("bob", "pass:word"), ("zoë", "ü")])
def test_who_is_known_comes_in(guarded: Client, user: str, password: str) -> None:
    for _ in range(2):
        assert guarded.get("/v2/", Authorization=_basic(user, password)).status == 200
    assert guarded.get("/v2/", Authorization=_basic(user, f"{password}!")).status == 401


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic YQ==",
        "Bearer x",
        "Basic " + "A" * 7000,
        _basic("ann", ""),
        _basic("", "secret"),
    ],
)
def test_nobody_else_does(guarded: Client, authorization: str) -> None:
    for method, path in [("GET", "/v2/"), ("GET", "/v2/_catalog"), ("POST", "/v2/a/blobs/uploads/"), ("GET", "/x")]:
        answer = guarded(method, path, Authorization=authorization)
        assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
        assert answer.headers["WWW-Authenticate"].startswith('Basic realm="kitpack"')


def test_a_password_is_hashed_once(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    checkpw = bcrypt.checkpw

    def counted(password: bytes, wanted: bytes) -> bool:
        hashed.append(password)
        return checkpw(password, wanted)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    passwords = Passwords(users)
    assert [passwords.admits(_basic("ann", "secret")) for _ in range(3)] == [True] * 3
    assert len(hashed) == 1
    assert [passwords.admits(_basic("ann", "wrong")) for _ in range(2)] == [False] * 2
    assert not passwords.admits(_basic("nobody", "wrong"))
    assert len(hashed) == 4  # a wrong one every time, and one for a user who is not there


def test_the_file_may_change(users: Path) -> None:
    passwords = Passwords(users)
    assert passwords.admits(_basic("ann", "secret"))
    users.write_text(_line("ann", "changed"))
    assert not passwords.admits(_basic("ann", "secret"))
    assert passwords.admits(_basic("ann", "changed"))
    users.write_text("nonsense")
    for _ in range(2):
        with pytest.raises(UsageError):
            passwords.admits(_basic("ann", "changed"))
    users.write_text(_line("ann", "again"))
    assert passwords.admits(_basic("ann", "again"))


def test_a_password_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(_line("ann", "x" * 72))
    assert Passwords(path).admits(_basic("ann", "x" * 72))
    assert not Passwords(path).admits(_basic("ann", "y" * 5000))


@pytest.mark.parametrize(
    "text",
    ["", "# nobody\n", "ann", "ann:secret", "ann:$apr1$abc$def", "ann:{SHA}abc", ":$2y$", "ann:$2y$05$short", "\xff"],
)
def test_only_bcrypt_is_good_enough(layout: Layout, tmp_path: Path, text: str) -> None:
    path = tmp_path / "users"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError) as failure, serving(layout, htpasswd=path):
        pass
    assert "htpasswd -B" in failure.value.hint or "cannot be read" in failure.value.message


def test_a_registry_that_is_only_read(layout: Layout) -> None:
    bundle = push_artifact(layout, {"a": b"a"}, "a:v1")
    manifest = manifest_of({"a": b"a"})
    with serving(layout, read_only=True) as url, talking(url) as client:
        assert client.has("a", "v1")
        for answer in (
            client("POST", "/v2/a/blobs/uploads/", b""),
            client("PATCH", "/v2/a/blobs/uploads/x", b""),
            client.push_manifest("a", manifest, "v2"),
            client("DELETE", "/v2/a/manifests/v1"),
            client("DELETE", f"/v2/a/blobs/{bundle.digest}"),
        ):
            assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])
            assert answer.headers["Allow"] == "GET, HEAD"
        assert client.has("a", "v1")


def test_only_a_layout_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError), serving(tmp_path / "none", read_only=True):
        pass
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(StoreError), serving(tmp_path / "photos"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_can_be_read(layout: Layout) -> None:
    push_artifact(layout, {"a": b"a"}, "a:v1")
    layout.path.chmod(0o500)
    with serving(layout, read_only=True) as url, talking(url) as client:
        assert client.has("a", "v1")


def test_web_pages_change_nothing(client: Client) -> None:
    manifest = client.push_bundle("a", "v1")
    for method, path in [("POST", "/v2/a/blobs/uploads/"), ("DELETE", f"/v2/a/manifests/{manifest.digest}")]:
        answer = client(method, path, b"", Origin="https://page.example")
        assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert client.get("/v2/a/manifests/v1", Origin="https://page.example").status == 200


def test_changes_are_told(layout: Layout) -> None:
    lines: list[str] = []
    with serving(layout, log=lines.append) as url, talking(url) as client:
        manifest = client.push_bundle("a", "v1")
        client.get("/v2/a/manifests/v1")
        client.push_manifest("a", manifest, f"{manifest.digest}?tag=v2&tag=v3")
        client.push_manifest("a", manifest)
        client("DELETE", "/v2/a/manifests/v1")
        client("DELETE", "/v2/a/manifests/v1")
    digest = str(manifest.digest)
    assert lines == [
        f"pushed a:v1 {digest}",
        f"pushed a:v2 {digest}",
        f"pushed a:v3 {digest}",
        f"pushed a@{digest}",
        "deleted a:v1",
    ]


def test_the_owner_is_told_what_nobody_else_needs_to_know(layout: Layout, users: Path) -> None:
    lines: list[str] = []
    with serving(layout, htpasswd=users, log=lines.append) as url, talking(url) as client:
        users.write_text("nonsense")
        answer = client.get("/v2/", Authorization=_basic("ann", "secret"))
    assert (answer.status, answer.codes) == (500, ["UNKNOWN"])
    assert str(users) not in answer.message
    assert str(users) in lines[0]


def test_every_request_is_told_to_who_wants_it(layout: Layout) -> None:
    lines: list[str] = []
    with serving(layout, log=lines.append, verbose=True) as url, talking(url) as client:
        client.get("/v2/a/tags/list?n=1")
    assert len(lines) == 1
    assert lines[0].startswith("GET /v2/a/tags/list?n=1 404 ")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return make_certificate(tmp_path)


def test_over_tls(layout: Layout, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    data = os.urandom(3 << 20)
    with serving(layout, tls=certificate) as url, talking(url, context=context) as client:
        assert url.startswith("https://127.0.0.1:")
        digest = client.push_blob("a", data)
        assert client.get(f"/v2/a/blobs/{digest}").body == data
        assert client.get(f"/v2/a/blobs/{digest}", Range="bytes=1000000-").body == data[1_000_000:]


def test_a_certificate_that_is_none(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("nonsense")
    with pytest.raises(UsageError), serving(layout, tls=(tmp_path / "pem", tmp_path / "pem")):
        pass
