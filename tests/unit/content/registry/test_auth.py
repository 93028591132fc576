"""Logins, against a registry and a token server that are really there."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from kitpack.content.registry.auth import actions, repository_of
from kitpack.content.registry.credentials import Credential, store
from kitpack.content.registry.transport import Transport
from kitpack.errors import AuthError, DeniedError, RateLimitedError
from kitpack.settings import Settings
from tests.support.registry import Registry, Reply, Seen, serving, settings_in

PULL = (actions("team/bot", "pull"),)
BLOB = "/v2/team/bot/blobs/"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as running:
        yield running


class Login:
    """A token server, and the rule that makes a registry ask for its tokens."""

    def __init__(self, registry: Registry, server: Registry, *, tokens: int = 10, lifetime: object = 60) -> None:
        self.registry = registry
        self.server = server
        self.valid = {f"Bearer t{number}" for number in range(1, tokens + 1)}
        self.count = 0
        self.lifetime = lifetime
        self.challenge = f'Bearer realm="{server.url}/token?a=b",service="r.example",scope="repository:team/bot:pull"'
        registry.rules.append(self.guard)
        server.rules.append(self.issue)

    def guard(self, seen: Seen) -> Reply | None:
        if not seen.path.startswith("/v2/") or seen.headers.get("authorization") in self.valid:
            return None
        return Reply(status=401, headers={"WWW-Authenticate": self.challenge}, body=b'{"errors": []}')

    def issue(self, seen: Seen) -> Reply | None:
        if not seen.path.startswith("/token"):
            return None
        self.count += 1
        return Reply(body=json.dumps({"token": f"t{self.count}", "expires_in": self.lifetime}).encode())


@pytest.fixture
def login(registry: Registry) -> Iterator[Login]:
    with serving(Registry()) as server:
        yield Login(registry, server)


def transport_to(stack: ExitStack, registry: Registry, settings: Settings) -> Transport:
    return stack.enter_context(Transport(registry.address, settings, sleep=lambda seconds: None))


def fetch(registry: Registry, settings: Settings, *, times: int = 1) -> None:
    digest = registry.add_blob(b"hello")
    with ExitStack() as stack:
        transport = transport_to(stack, registry, settings)
        for _ in range(times):
            assert transport.request("GET", BLOB + digest, scopes=PULL, limit=10).content == b"hello"


def basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def ask_for_basic(registry: Registry, password: str = "pw") -> None:
    def guard(seen: Seen) -> Reply | None:
        if seen.headers.get("authorization") == basic("me", password):
            return None
        return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="registry"'})

    registry.rules.append(guard)


def test_nothing_is_proven_before_it_is_asked_for(registry: Registry, settings: Settings) -> None:
    store(settings, registry.address, Credential(username="me", password="pw"))
    fetch(registry, settings)
    assert "authorization" not in registry.seen[0].headers


def test_basic_is_sent_at_once_after_the_first_time(registry: Registry, settings: Settings) -> None:
    ask_for_basic(registry)
    store(settings, registry.address, Credential(username="me", password="pw"))
    fetch(registry, settings, times=3)
    assert ["authorization" in seen.headers for seen in registry.seen] == [False, True, True, True]


def test_basic_without_credentials_says_how_to_log_in(registry: Registry, settings: Settings) -> None:
    ask_for_basic(registry)
    with pytest.raises(AuthError) as caught:
        fetch(registry, settings)
    assert caught.value.hint == f"log in: kitpack login {registry.address}"
    assert len(registry.seen) == 1


def test_a_wrong_password_is_tried_once(registry: Registry, settings: Settings) -> None:
    ask_for_basic(registry, password="another")
    store(settings, registry.address, Credential(username="me", password="pw"))
    with pytest.raises(AuthError):
        fetch(registry, settings)
    assert len(registry.seen) == 2


@pytest.mark.parametrize("challenge", ["Negotiate abc==", "Digest realm=x", ""])
def test_other_ways_to_log_in_are_not_known(registry: Registry, settings: Settings, challenge: str) -> None:
    registry.rule("GET", "/v2/", Reply(status=401, headers={"WWW-Authenticate": challenge}), last_stays=True)
    with pytest.raises(AuthError):
        fetch(registry, settings)


def test_an_anonymous_token_is_fetched_once(registry: Registry, login: Login, settings: Settings) -> None:
    fetch(registry, settings, times=3)
    (asked,) = login.server.seen
    assert asked.method == "GET"
    assert "authorization" not in asked.headers
    assert (asked.query("a"), asked.query("service"), asked.query("scope")) == (
        ["b"],
        ["r.example"],
        ["repository:team/bot:pull"],
    )


def test_a_user_gets_a_token_by_basic(registry: Registry, login: Login, settings: Settings) -> None:
    store(settings, registry.address, Credential(username="me", password="pw"))
    fetch(registry, settings)
    assert [seen.headers.get("authorization") for seen in login.server.seen] == [basic("me", "pw")]
    assert all(seen.headers.get("authorization") in {None, "Bearer t1"} for seen in registry.seen)


def test_an_identity_token_is_posted_to_the_realm_alone(registry: Registry, login: Login, settings: Settings) -> None:
    store(settings, registry.address, Credential(identity_token="refresh"))
    fetch(registry, settings)
    (asked,) = login.server.seen
    form = parse_qs(asked.body.decode())
    assert asked.method == "POST"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (form["grant_type"], form["refresh_token"], form["scope"]) == (
        ["refresh_token"],
        ["refresh"],
        ["repository:team/bot:pull"],
    )
    assert not any("refresh" in str(seen.headers) for seen in registry.seen)


@pytest.mark.parametrize("status", [404, 405])
def test_a_token_server_without_oauth2_is_asked_by_get(
    registry: Registry, login: Login, settings: Settings, status: int
) -> None:
    login.server.rules.insert(0, lambda seen: Reply(status=status) if seen.method == "POST" else None)
    store(settings, registry.address, Credential(identity_token="refresh"))
    fetch(registry, settings)
    assert [seen.method for seen in login.server.seen] == ["POST", "GET"]
    assert login.server.seen[1].headers["authorization"] == basic("<token>", "refresh")


def test_a_registry_token_needs_no_token_server(registry: Registry, login: Login, settings: Settings) -> None:
    login.valid = {"Bearer mine"}
    store(settings, registry.address, Credential(registry_token="mine"))
    fetch(registry, settings)
    assert login.server.seen == []


def test_scopes_have_tokens_of_their_own(registry: Registry, login: Login, settings: Settings) -> None:
    digest = registry.add_blob(b"x")
    both = (actions("team/bot", "pull", "push"), actions("team/other", "pull"))
    with ExitStack() as stack:
        transport = transport_to(stack, registry, settings)
        for scopes in (PULL, both, PULL, both):
            transport.request("GET", BLOB + digest, scopes=scopes).close()
    assert [seen.query("scope") for seen in login.server.seen] == [
        ["repository:team/bot:pull"],
        ["repository:team/bot:pull,push", "repository:team/other:pull"],
    ]


def test_an_expired_token_is_renewed_once(registry: Registry, login: Login, settings: Settings) -> None:
    digest = registry.add_blob(b"x")
    with ExitStack() as stack:
        transport = transport_to(stack, registry, settings)
        transport.request("GET", BLOB + digest, scopes=PULL).close()
        login.valid.remove("Bearer t1")
        transport.request("GET", BLOB + digest, scopes=PULL).close()
    assert login.count == 2


def test_a_token_that_is_refused_ends_in_an_error(registry: Registry, login: Login, settings: Settings) -> None:
    login.valid.clear()
    with pytest.raises(AuthError) as caught:
        fetch(registry, settings)
    assert "kitpack login" in caught.value.hint
    assert len(registry.seen) == 2


@pytest.mark.parametrize("lifetime", [None, 0, -5, "60", True, 10**20, 1e300, [], 0.5])
def test_odd_lifetimes_do_no_harm(registry: Registry, settings: Settings, lifetime: object) -> None:
    with serving(Registry()) as server:
        login = Login(registry, server, lifetime=lifetime)
        fetch(registry, settings, times=2)
        assert login.count == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"token": 5}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nX: y"}',
        '{"token": "\u00e9"}'.encode(),
        b'{"token": "' + b"x" * 70_000 + b'"}',
    ],
)
def test_what_is_no_token_is_refused(registry: Registry, login: Login, settings: Settings, body: bytes) -> None:
    login.server.rules.insert(0, lambda seen: Reply(body=body))
    with pytest.raises(AuthError):
        fetch(registry, settings)


def test_access_token_is_another_name(registry: Registry, login: Login, settings: Settings) -> None:
    login.server.rules.insert(0, lambda seen: Reply(body=b'{"access_token": "t7"}'))
    fetch(registry, settings)


@pytest.mark.parametrize(
    ("status", "error"), [(400, AuthError), (401, AuthError), (403, DeniedError), (429, RateLimitedError)]
)
def test_the_token_servers_refusal_is_passed_on(
    registry: Registry, login: Login, settings: Settings, status: int, error: type[Exception]
) -> None:
    body = b'{"errors": [{"code": "DENIED", "message": "no \\u001b[31msuch user"}]}'
    login.server.rules.insert(0, lambda seen: Reply(status=status, body=body))
    with pytest.raises(error, match=r"no \[31msuch user"):
        fetch(registry, settings)


def test_the_token_server_may_stumble(registry: Registry, login: Login, settings: Settings) -> None:
    login.server.rules.insert(0, lambda seen: Reply(status=503) if len(login.server.seen) < 3 else None)
    fetch(registry, settings)
    assert len(login.server.seen) == 3


def test_redirects_of_the_token_server_get_no_credentials(registry: Registry, login: Login, settings: Settings) -> None:
    store(settings, registry.address, Credential(username="me", password="pw"))
    with serving(Registry()) as elsewhere:
        login.server.rules.insert(0, lambda seen: Reply(status=307, headers={"Location": f"{elsewhere.url}/token"}))
        with pytest.raises(AuthError, match="not sent on"):
            fetch(registry, settings)
        assert elsewhere.seen == []


@pytest.mark.parametrize("realm", ["http://169.254.169.254/latest", "file:///etc/passwd", "", "http://10.0.0.1/token"])
def test_an_odd_realm_is_not_asked(registry: Registry, settings: Settings, realm: str) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{realm}"'}
    registry.rule("GET", "/v2/", Reply(status=401, headers=challenge), last_stays=True)
    with pytest.raises(AuthError):
        fetch(registry, settings)
    assert len(registry.seen) == 1


def test_bearer_is_preferred_among_several_challenges(registry: Registry, login: Login, settings: Settings) -> None:
    login.challenge = f'Basic realm="x", {login.challenge}'
    store(settings, registry.address, Credential(username="me", password="pw"))
    fetch(registry, settings)
    assert login.count == 1


def test_the_repository_of_a_scope() -> None:
    assert repository_of(PULL) == "team/bot"
    assert repository_of(()) == ""
