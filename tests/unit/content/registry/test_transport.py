"""What may go wrong on the way to a registry, and who gets to see credentials."""

from __future__ import annotations

import email.utils
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kitpack.content.registry.auth import actions
from kitpack.content.registry.credentials import Credential
from kitpack.content.registry.exchange import Body
from kitpack.content.registry.retry import retry_after
from kitpack.content.registry.transport import Transport
from kitpack.errors import (
    AuthError,
    DeniedError,
    KitpackError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    UnreachableError,
)
from kitpack.settings import Settings
from tests.support.registry import Registry, Reply, Seen, refused_port, serving, settings_in

PULL = (actions("team/bot", "pull"),)
NOW = 1_800_000_000.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Registry]:
    with serving(Registry()) as running:
        yield running


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def transport(registry: Registry, settings: Settings, slept: list[float]) -> Iterator[Transport]:
    credential = Credential(registry_token="secret")
    made = Transport(registry.address, settings, credential=credential, sleep=slept.append, clock=lambda: NOW)
    with made:
        yield made


def ask_for_login(registry: Registry) -> None:
    def guard(seen: Seen) -> Reply | None:
        if seen.headers.get("authorization") == "Bearer secret":
            return None
        return Reply(status=401, headers={"WWW-Authenticate": 'Bearer realm="x"'})

    registry.rules.append(guard)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RegistryError),
        (401, AuthError),
        (403, DeniedError),
        (404, NotFoundError),
        (405, RegistryError),
        (409, RegistryError),
        (412, RegistryError),
        (418, RegistryError),
        (413, RegistryError),
        (501, RegistryError),
        (204, RegistryError),
    ],
)
def test_failures_for_good_are_not_repeated(
    registry: Registry, transport: Transport, slept: list[float], status: int, error: type[KitpackError]
) -> None:
    registry.rule("GET", "/v2/x", Reply(status=status))
    with pytest.raises(error) as caught:
        transport.request("GET", "/v2/x?token=secret")
    assert type(caught.value) is error
    assert caught.value.message.startswith(f"GET {registry.url}/v2/x was answered with {status}")
    assert slept == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_failures_that_pass_are_repeated_with_growing_patience(
    registry: Registry, transport: Transport, slept: list[float], status: int
) -> None:
    registry.rule("GET", "/v2/x", Reply(status=status), last_stays=True)
    with pytest.raises(RegistryError) as caught:
        transport.request("GET", "/v2/x")
    assert caught.value.status == status
    assert isinstance(caught.value, RateLimitedError) == (status == 429)
    assert len(registry.seen) == 5
    assert slept == pytest.approx([0.25, 0.5, 1.0, 2.0], rel=0.1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("reply", [Reply(status=503), Reply(status=0), Reply(hang_up=True, status=502)])
def test_a_passing_failure_is_survived(registry: Registry, transport: Transport, method: str, reply: Reply) -> None:
    registry.rule(method, "/v2/x", reply, reply, Reply(body=b"fine"))
    body = Body.of_bytes(b"payload", "text/plain") if method in {"PUT", "POST"} else None
    with transport.request(method, "/v2/x", body=body) as answer:
        assert answer.status == 200
    assert [seen.body for seen in registry.seen] == [b"payload" if body else b""] * 3


def test_a_patch_is_never_repeated(registry: Registry, transport: Transport, slept: list[float]) -> None:
    registry.rule("PATCH", "/v2/x", Reply(status=503), last_stays=True)
    with pytest.raises(RegistryError):
        transport.request("PATCH", "/v2/x", body=Body.of_bytes(b"x", "text/plain"))
    assert (len(registry.seen), slept) == (1, [])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("99999999999999999999999", 60.0),
        ("3600", 60.0),
        ("1.5", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("\u0667", 0.0),
        (email.utils.formatdate(NOW + 9, usegmt=True), 9.0),
        (email.utils.formatdate(NOW - 9, usegmt=True), 0.0),
        (email.utils.formatdate(NOW + 10**6, usegmt=True), 60.0),
        ("Fri, 31 Feb 2026 99:99:99 GMT", 0.0),
        ("Mon, 01 Jan 99999 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header: str, seconds: float) -> None:
    assert retry_after(header, NOW) == seconds


def test_the_server_says_how_long_to_wait(registry: Registry, transport: Transport, slept: list[float]) -> None:
    date = email.utils.formatdate(NOW + 12, usegmt=True)
    waits = [Reply(status=429, headers={"Retry-After": value}) for value in ("7", date, "-1")]
    registry.rule("GET", "/v2/x", *waits, Reply())
    transport.request("GET", "/v2/x").close()
    assert slept == pytest.approx([7.0, 12.0, 1.0], rel=0.1)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            Reply(status=400, body=b'{"errors":[{"code":"NAME_INVALID","message":"bad\\u001b[2J \\u202ename"}]}'),
            "(NAME_INVALID: bad [2J name)",
        ),
        (Reply(status=400, body=b'{"errors":[{"code":"x;y","message":5}, 7, null]}'), ""),
        (Reply(status=400, body=b'{"errors":{}}'), ""),
        (Reply(status=400, body=b"plain\r\n\x00text"), "(plain text)"),
        (Reply(status=400, body=b"<html><body>no</body></html>"), ""),
        (Reply(status=400, body=b"no", headers={"Content-Type": "text/html"}), ""),
        (Reply(status=400, body=b"\xff\xfe"), "(\ufffd\ufffd)"),
        (Reply(status=400, body=b"x" * 1_000_000), f"({'x' * 300})"),
        (Reply(status=400, body=b"[" * 60_000), f"({'[' * 300})"),
        (Reply(status=400, body=b"half", length=100, after=4), ""),
        (Reply(status=400, body=b"\x1f\x8bgarbage", headers={"Content-Encoding": "gzip"}), ""),
    ],
)
def test_bodies_of_errors_are_read_with_suspicion(
    registry: Registry, transport: Transport, reply: Reply, text: str
) -> None:
    registry.rule("GET", "/v2/x", reply)
    with pytest.raises(RegistryError) as caught:
        transport.request("GET", "/v2/x")
    assert caught.value.message == f"GET {registry.url}/v2/x was answered with 400" + (f" {text}" if text else "")


def test_codes_of_errors_are_kept(registry: Registry, transport: Transport) -> None:
    registry.rule("GET", "/v2/x", Reply(status=403, body=b'{"errors":[{"code":"DENIED"},{"code":"UNAUTHORIZED"}]}'))
    with pytest.raises(DeniedError) as caught:
        transport.request("GET", "/v2/x")
    assert caught.value.codes == ("DENIED", "UNAUTHORIZED")


def test_a_refused_connection_is_reported_at_once(settings: Settings, slept: list[float]) -> None:
    address = refused_port()
    with Transport(address, settings, sleep=slept.append) as transport, pytest.raises(UnreachableError) as caught:
        transport.request("GET", "/v2/")
    assert caught.value.message == f"http://{address} cannot be reached (GET http://{address}/v2/): Connection refused"
    assert slept == []


def test_a_host_that_nobody_knows_is_reported_at_once(settings: Settings, slept: list[float]) -> None:
    with Transport("no-such-host.invalid", settings, sleep=slept.append) as transport:
        unknown = _failed_lookup("no-such-host.invalid")
        with pytest.raises(UnreachableError) as caught:
            transport.request("GET", "/v2/")
    if unknown == socket.EAI_AGAIN:
        pytest.skip("there is no name server to ask")
    assert caught.value.message.endswith(": the host name is not known")
    assert slept == []


def _failed_lookup(host: str) -> int | None:
    with pytest.raises(socket.gaierror) as caught:
        socket.getaddrinfo(host, 443)
    return caught.value.errno


def test_a_silent_server_is_given_up(registry: Registry, settings: Settings) -> None:
    release = threading.Event()
    registry.rule("GET", "/v2/x", Reply(hold=release), last_stays=True)
    with (
        Transport(registry.address, settings, sleep=lambda seconds: None, timeouts=(1, 0.05)) as transport,
        pytest.raises(UnreachableError, match="no answer in time"),
    ):
        transport.request("GET", "/v2/x")
    release.set()
    assert len(registry.seen) == 5


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_longer_than_the_limit_is_refused(registry: Registry, transport: Transport, chunked: bool) -> None:
    registry.rule("GET", "/v2/x", Reply(body=b"x" * 11, chunked=chunked))
    with pytest.raises(RegistryError, match="more than 10 bytes"):
        transport.request("GET", "/v2/x", limit=10)


def test_a_body_that_breaks_off_is_asked_for_again(registry: Registry, transport: Transport) -> None:
    registry.rule("GET", "/v2/x", Reply(body=b"hello", after=2), Reply(body=b"hello", after=0, reset=True))
    registry.rule("GET", "/v2/x", Reply(body=b"hello"))
    assert transport.request("GET", "/v2/x", limit=10).content == b"hello"


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
def test_encoded_answers_are_refused(registry: Registry, transport: Transport, encoding: str) -> None:
    registry.rule("GET", "/v2/x", Reply(body=b"x", headers={"Content-Encoding": encoding}))
    with pytest.raises(RegistryError, match="as they are"):
        transport.request("GET", "/v2/x")
    assert registry.seen[0].headers["accept-encoding"] == "identity"


# Redirects


def test_a_redirect_inside_the_registry_keeps_the_login(registry: Registry, transport: Transport) -> None:
    ask_for_login(registry)
    registry.rule("GET", "/v2/x", Reply(status=307, headers={"Location": "/v2/"}))
    with transport.request("GET", "/v2/x", scopes=PULL) as answer:
        assert answer.url == f"{registry.url}/v2/"
    assert registry.seen[-1].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_port_gets_no_credentials(
    registry: Registry, elsewhere: Registry, transport: Transport, status: int
) -> None:
    ask_for_login(registry)
    registry.rule("GET", "/v2/x", Reply(status=status, headers={"Location": f"{elsewhere.url}/data?sig=a%2Bb"}))
    elsewhere.rule("GET", "/data", Reply(body=b"hello", headers={"Set-Cookie": "a=b"}))
    with transport.request("GET", "/v2/x", scopes=PULL, headers={"Range": "bytes=1-"}) as answer:
        assert answer.read(10) == b"hello"
    (seen,) = elsewhere.seen
    assert seen.path == "/data?sig=a%2Bb"
    assert seen.headers["range"] == "bytes=1-"
    assert not {"authorization", "cookie", "referer"} & set(seen.headers)


def test_a_login_asked_for_elsewhere_is_not_answered(
    registry: Registry, elsewhere: Registry, transport: Transport
) -> None:
    ask_for_login(registry)
    registry.rule("GET", "/v2/x", Reply(status=307, headers={"Location": f"{elsewhere.url}/data"}))
    refusal = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="give"'})
    elsewhere.rule("GET", "/data", refusal, last_stays=True)
    with pytest.raises(AuthError, match="not for that place"):
        transport.request("GET", "/v2/x", scopes=PULL)
    assert len(elsewhere.seen) == 1
    assert "authorization" not in elsewhere.seen[0].headers


def test_whoever_leads_back_does_not_bring_the_login_back(
    registry: Registry, elsewhere: Registry, transport: Transport
) -> None:
    ask_for_login(registry)
    registry.rule("GET", "/v2/x", Reply(status=307, headers={"Location": f"{elsewhere.url}/back"}))
    elsewhere.rule("GET", "/back", Reply(status=307, headers={"Location": f"{registry.url}/v2/private"}))
    with pytest.raises(AuthError):
        transport.request("GET", "/v2/x", scopes=PULL)
    assert "authorization" not in registry.asked("GET", "/v2/private")[0].headers


def test_no_netrc_and_no_cookies(
    registry: Registry, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    registry.rule("GET", "/v2/", Reply(headers={"Set-Cookie": "session=1"}), last_stays=True)
    for _ in range(2):
        transport.request("GET", "/v2/").close()
    assert not any({"authorization", "cookie"} & set(seen.headers) for seen in registry.seen)


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://r.example/x", "http://me:pw@127.0.0.1/x", "data:,x", "http://[::1", "http://a\\@b/"],
)
def test_odd_redirects_are_not_followed(registry: Registry, transport: Transport, location: str) -> None:
    registry.rule("GET", "/v2/x", Reply(status=302, headers={"Location": location}))
    with pytest.raises(RegistryError):
        transport.request("GET", "/v2/x")


def test_redirects_in_a_circle_end(registry: Registry, transport: Transport) -> None:
    registry.rule("GET", "/v2/x", Reply(status=302, headers={"Location": "/v2/x"}), last_stays=True)
    with pytest.raises(RegistryError, match="redirects"):
        transport.request("GET", "/v2/x")
    assert len(registry.seen) == 6


def test_a_redirect_that_keeps_the_method_sends_the_body_again(registry: Registry, transport: Transport) -> None:
    registry.rule("PUT", "/v2/x", Reply(status=307, headers={"Location": "/v2/y"}))
    registry.rule("PUT", "/v2/y", Reply(status=201))
    transport.request("PUT", "/v2/x", body=Body.of_bytes(b"payload", "text/plain"), expect={201}).close()
    assert [seen.body for seen in registry.asked("PUT")] == [b"payload", b"payload"]


def test_a_redirect_that_would_drop_the_body_is_refused(registry: Registry, transport: Transport) -> None:
    registry.rule("PUT", "/v2/x", Reply(status=302, headers={"Location": "/v2/y"}))
    with pytest.raises(RegistryError, match="drops what was sent"):
        transport.request("PUT", "/v2/x", body=Body.of_bytes(b"payload", "text/plain"))


def test_a_caller_may_stay_at_home(registry: Registry, elsewhere: Registry, transport: Transport) -> None:
    registry.rule("GET", "/v2/x", Reply(status=303, headers={"Location": f"{elsewhere.url}/ui"}))
    with transport.request("GET", "/v2/x", expect={303}, stay=True) as answer:
        assert answer.status == 303
    assert elsewhere.seen == []


# Warnings, proxies, TLS, threads


def test_a_warning_is_logged_once(registry: Registry, transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    registry.rule("GET", "/v2/", Reply(headers={"Warning": '299 - "moving \x1b[1msoon"'}), last_stays=True)
    with caplog.at_level(logging.WARNING, "kitpack.content.registry.transport"):
        for _ in range(3):
            transport.request("GET", "/v2/").close()
    assert [record.getMessage() for record in caplog.records] == [f"{registry.address}: moving [1msoon"]


def test_proxies_of_the_environment_are_used_but_not_for_this_machine(
    registry: Registry, elsewhere: Registry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", elsewhere.url)
    plain = settings_in(settings.home, plain_http=frozenset({"registry.example"}))
    with Transport("registry.example", plain) as far, Transport(registry.address, settings) as near:
        far.request("GET", "/v2/").close()
        near.request("GET", "/v2/").close()
    assert [seen.path for seen in elsewhere.seen] == ["http://registry.example/v2/"]
    assert len(registry.seen) == 1


@pytest.mark.parametrize(
    ("registry", "changes", "base"),
    [
        ("registry.example", {}, "https://registry.example"),
        ("docker.io", {}, "https://registry-1.docker.io"),
        ("localhost:5000", {}, "http://localhost:5000"),
        ("127.9.9.9:5000", {}, "http://127.9.9.9:5000"),
        ("[::1]:5000", {}, "http://[::1]:5000"),
        ("localhost:5000", {"ca_file": Path("ca.pem")}, "https://localhost:5000"),
        ("localhost:5000", {"ca_file": Path("ca.pem"), "plain_http": frozenset({"*"})}, "http://localhost:5000"),
        ("registry.example", {"plain_http": frozenset({"*"})}, "http://registry.example"),
        ("registry.example", {"plain_http": frozenset({"registry.example"})}, "http://registry.example"),
        ("registry.example:1", {"plain_http": frozenset({"registry.example"})}, "https://registry.example:1"),
        ("10.0.0.1:5000", {}, "https://10.0.0.1:5000"),
    ],
)
def test_which_registries_are_asked_without_tls(
    tmp_path: Path, registry: str, changes: dict[str, object], base: str
) -> None:
    assert Transport(registry, settings_in(tmp_path, **changes)).base == base


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "cert.pem", folder / "key.pem"
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([*command, "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


def server_context(certificate: tuple[Path, Path], clients: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(certificate[0])
    context.verify_mode = clients
    return context


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[Registry]:
    with serving(Registry(), server_context(certificate, ssl.CERT_NONE)) as running:
        yield running


@pytest.fixture
def demanding(certificate: tuple[Path, Path]) -> Iterator[Registry]:
    """A registry that wants to see a client certificate."""
    context = server_context(certificate, ssl.CERT_REQUIRED)
    context.maximum_version = (
        ssl.TLSVersion.TLSv1_2
    )  # later ones refuse after the handshake, in a race with the request
    with serving(Registry(), context) as running:
        yield running


def test_a_private_authority_is_trusted_when_named(
    secure: Registry, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    with Transport(secure.address, settings_in(tmp_path, ca_file=certificate[0])) as transport:
        transport.request("GET", "/v2/").close()


def test_a_client_certificate_is_shown_to_the_registry_alone(
    demanding: Registry, secure: Registry, certificate: tuple[Path, Path], tmp_path: Path, slept: list[float]
) -> None:
    cert, key = certificate
    settings = settings_in(tmp_path, ca_file=cert, client_cert=cert, client_key=key)
    with Transport(demanding.address, settings) as transport:
        transport.request("GET", "/v2/").close()
    secure.rule("GET", "/v2/x", Reply(status=307, headers={"Location": f"{demanding.url}/v2/"}), last_stays=True)
    with Transport(secure.address, settings, sleep=slept.append) as transport:
        transport.request("GET", "/v2/").close()
        with pytest.raises(UnreachableError):
            transport.request("GET", "/v2/x")
    assert len(demanding.seen) == 1


def test_a_wanted_client_certificate_is_asked_for(
    demanding: Registry, certificate: tuple[Path, Path], tmp_path: Path, slept: list[float]
) -> None:
    settings = settings_in(tmp_path, ca_file=certificate[0])
    with (
        Transport(demanding.address, settings, sleep=slept.append) as transport,
        pytest.raises(UnreachableError) as caught,
    ):
        transport.request("GET", "/v2/")
    assert (caught.value.hint, slept) == (
        "this registry may want a client certificate: KITPACK_CLIENT_CERT and KITPACK_CLIENT_KEY",
        [],
    )


def test_an_unknown_authority_is_not_trusted(
    secure: Registry, registry: Registry, settings: Settings, slept: list[float]
) -> None:
    registry.rule("GET", "/v2/x", Reply(status=307, headers={"Location": f"{secure.url}/v2/"}))
    with (
        Transport(registry.address, settings, sleep=slept.append) as transport,
        pytest.raises(UnreachableError) as caught,
    ):
        transport.request("GET", "/v2/x")
    assert "KITPACK_CA_FILE" in caught.value.hint
    assert (slept, secure.seen) == ([], [])


def test_tls_to_a_plain_server_says_what_to_do(
    registry: Registry, certificate: tuple[Path, Path], tmp_path: Path, slept: list[float]
) -> None:
    settings = settings_in(tmp_path, ca_file=certificate[0])
    with (
        Transport(registry.address, settings, sleep=slept.append) as transport,
        pytest.raises(UnreachableError) as caught,
    ):
        transport.request("GET", "/v2/")
    assert "--plain-http" in caught.value.hint
    assert slept == []


@pytest.mark.parametrize("name", ["ca_file", "client_cert"])
def test_a_missing_certificate_file_is_named(
    secure: Registry, certificate: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    settings = settings_in(tmp_path, **{"ca_file": certificate[0], name: tmp_path / "gone.pem"})
    with Transport(secure.address, settings) as transport, pytest.raises(UnreachableError, match=r"gone\.pem"):
        transport.request("GET", "/v2/")


def test_https_does_not_lead_to_http(
    secure: Registry, registry: Registry, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    secure.rule("GET", "/v2/x", Reply(status=307, headers={"Location": f"{registry.url}/v2/"}))
    with (
        Transport(secure.address, settings_in(tmp_path, ca_file=certificate[0])) as transport,
        pytest.raises(RegistryError, match="from https to http"),
    ):
        transport.request("GET", "/v2/x")
    assert registry.seen == []


def test_threads_share_connections_and_one_token(registry: Registry, transport: Transport) -> None:
    ask_for_login(registry)
    digest = registry.add_blob(b"hello")

    def fetch(number: int) -> bytes:
        return transport.request("GET", f"/v2/team/bot/blobs/{digest}", scopes=PULL, limit=10).content

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, range(40))) == [b"hello"] * 40
    refused = [seen for seen in registry.seen if "authorization" not in seen.headers]
    assert len(refused) <= 4
