"""Logging in: credentials are tried at the registry before they replace what is stored."""

from __future__ import annotations

import json
import socketserver
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from tests.support.cli import Terminal
from tests.support.registry import Registry, Reply, Seen, refused_port, serving

SECRET = "correct horse"
HUB = "https://index.docker.io/v1/"


def basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def asks_for_a_password(seen: Seen) -> Reply | None:
    if seen.headers.get("authorization") == basic("ci", SECRET):
        return None
    return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="here"'})


class TokenServer:
    """A rule of a registry that wants tokens, and gives them itself."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, seen: Seen) -> Reply | None:
        if seen.path.startswith("/token"):
            refreshed = seen.method == "POST" and b"refresh_token=correct+horse" in seen.body
            if refreshed or seen.headers.get("authorization") == basic("ci", SECRET):
                return Reply(body=b'{"token": "good"}')
            return Reply(status=401, body=b'{"errors": [{"code": "UNAUTHORIZED", "message": "incorrect password"}]}')
        if seen.headers.get("authorization") == "Bearer good":
            return None
        challenge = f'Bearer realm="{self._registry.url}/token",service="here"'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})


@pytest.fixture(params=["basic", "bearer"])
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    """A registry that lets ``ci`` in, and nobody else."""
    with serving(Registry()) as registry:
        registry.rules.append(asks_for_a_password if request.param == "basic" else TokenServer(registry))
        yield registry


def stored(kitpack: Terminal) -> dict[str, dict[str, str]]:
    path = kitpack.folder / "docker/config.json"
    found = json.loads(path.read_text())["auths"] if path.exists() else {}
    assert isinstance(found, dict)
    return found


def login(kitpack: Terminal, host: str, *words: str, secret: str = SECRET, code: int = 0) -> str:
    ended = kitpack("login", host, "-u", "ci", "--password-stdin", *words, stdin=f"{secret}\n", code=code)
    assert SECRET not in ended.out + ended.err
    assert ended.out == ""
    return ended.err


def test_what_is_accepted_is_stored_and_used(kitpack: Terminal, registry: Registry, bot: Path) -> None:
    reference = f"{registry.address}/bot:1"
    assert f"kitpack login {registry.address}" in kitpack("push", bot, reference, code=8).err
    assert login(kitpack, registry.address) == f"logged in to {registry.address}\n"
    assert stored(kitpack)[registry.address] == {"auth": basic("ci", SECRET).removeprefix("Basic ")}
    kitpack("push", bot, reference)
    kitpack("logout", registry.address)
    assert stored(kitpack) == {}
    kitpack("inspect", reference, code=8)
    assert "no credentials" in kitpack("logout", registry.address).err


def test_what_is_refused_is_not_stored(kitpack: Terminal, registry: Registry) -> None:
    said = login(kitpack, registry.address, secret="wrong", code=8)
    assert f"{registry.address} does not accept these credentials" in said
    assert "access token" in said
    assert stored(kitpack) == {}


def test_what_is_refused_replaces_nothing(kitpack: Terminal, registry: Registry) -> None:
    login(kitpack, registry.address)
    before = stored(kitpack)
    login(kitpack, registry.address, secret="wrong", code=8)
    assert stored(kitpack) == before


def test_what_is_stored_does_not_help_what_is_tried(kitpack: Terminal, registry: Registry) -> None:
    login(kitpack, registry.address)
    ended = kitpack("login", registry.address, "-u", "other", "--password-stdin", stdin="wrong", code=8)
    assert ended.out == ""


@pytest.mark.parametrize("written", ["http://{}", "http://{}/v2/", "{}/team/bot"])
def test_hosts_as_people_write_them(kitpack: Terminal, registry: Registry, written: str) -> None:
    login(kitpack, written.format(registry.address))
    assert list(stored(kitpack)) == [registry.address]


def test_identity_tokens(kitpack: Terminal) -> None:
    with serving(Registry()) as registry:
        registry.rules.append(TokenServer(registry))
        words = ["login", registry.address, "--identity-token", "--password-stdin"]
        kitpack(*words, stdin="wrong", code=8)
        assert stored(kitpack) == {}
        kitpack(*words, stdin=SECRET)
        assert stored(kitpack)[registry.address] == {"identitytoken": SECRET}


def test_nobody_there(kitpack: Terminal) -> None:
    nobody = refused_port()
    assert f"{nobody} cannot be reached" in login(kitpack, nobody, code=7)
    assert stored(kitpack) == {}


def test_no_registry_there(kitpack: Terminal) -> None:
    with serving(Registry()) as registry:
        registry.rule("GET", "/v2/", Reply(status=404, body=b"<html>"), last_stays=True)
        assert "404" in login(kitpack, registry.address, code=7)
    assert stored(kitpack) == {}


def test_tls_where_the_registry_has_none(kitpack: Terminal) -> None:
    authorities = certifi.where()
    with serving(Registry()) as registry:
        assert "--plain-http" in login(kitpack, registry.address, "--ca-file", authorities, code=7)
        login(kitpack, registry.address, "--ca-file", authorities, "--plain-http")


def test_plain_http_where_the_registry_has_tls(kitpack: Terminal) -> None:
    complaint = b"Client sent an HTTP request to an HTTPS server.\n"
    with serving(Registry()) as registry:
        registry.rule("GET", "/v2/", Reply(status=400, body=complaint), last_stays=True)
        assert "--ca-file" in login(kitpack, registry.address, code=7)
        assert "--plain-http overrules it" in login(kitpack, registry.address, "--plain-http", code=7)


class _Proxy(socketserver.StreamRequestHandler):
    asked: list[str]

    def handle(self) -> None:
        self.asked.append(self.rfile.readline().decode().split()[1])
        self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that lets nobody out, and remembers where they wanted to go."""
    asked: list[str] = []
    handler = type("_BoundProxy", (_Proxy,), {"asked": asked})
    with socketserver.TCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def test_docker_hub_is_asked_where_it_answers(kitpack: Terminal, proxy: tuple[str, list[str]]) -> None:
    address, asked = proxy
    words = ["login", "docker.io", "-u", "ci", "--password-stdin"]
    kitpack(*words, stdin=SECRET, environment={"HTTPS_PROXY": address, "NO_PROXY": ""}, code=7)
    assert set(asked) == {"registry-1.docker.io:443"}


@pytest.mark.parametrize("name", ["docker.io", "index.docker.io", "registry-1.docker.io", HUB])
def test_docker_hub_by_all_its_names(kitpack: Terminal, name: str) -> None:
    (kitpack.folder / "docker").mkdir()
    (kitpack.folder / "docker/config.json").write_text(json.dumps({"auths": {HUB: {"auth": "eDp5"}}, "own": 1}))
    assert kitpack("logout", name, "--json").json["removed"] is True
    assert json.loads((kitpack.folder / "docker/config.json").read_text()) == {"auths": {}, "own": 1}
