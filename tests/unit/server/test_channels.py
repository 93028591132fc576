"""Channels over HTTP: what is answered to whom, at `kitpack serve` and inside the server of somebody else."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from kitpack.content.memory import Memory
from kitpack.content.store.layout import Layout
from kitpack.errors import InvalidReferenceError
from kitpack.oci.manifest import Manifest
from kitpack.releases.change import promote
from kitpack.releases.home import Home
from kitpack.releases.log import read_log
from kitpack.releases.record import ARCHIVE
from kitpack.releases.status import archive
from kitpack.releases.writing import Author
from kitpack.server import serving
from kitpack.server.asgi import App, Authorize, channels_app
from kitpack.server.channels import MAX_BODY, Asked, Channels
from tests.support.distribution import Answer, Client, talking
from tests.support.registry import settings_in
from tests.unit.releases.bundles import push_release

ME = Author(actor="me")
BOT = "/channels/team/bot/production"


@pytest.fixture
def home(layout: Layout) -> Home:
    """Three versions, the second of which is live."""
    home = Home(target=layout, prefix="team/bot:", label="team/bot")
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        push_release(layout, version, "team/bot:")
    for version in ("1.0.0", "1.1.0"):
        promote(home, version, "production", ME)
    return home


@pytest.fixture
def client(url: str, home: Home) -> Iterator[Client]:
    assert live(home) == "1.1.0"
    with talking(url) as found:
        yield found


def post(client: Client, path: str = f"{BOT}/rollback", **body: object) -> Answer:
    return client("POST", path, json.dumps(body).encode() if body else None)


def live(home: Home) -> str:
    manifest = home.read("production")
    return manifest.annotations["org.opencontainers.image.version"]


def error(answer: Answer) -> tuple[int, str]:
    """The status and the sentence; every error has a kind, a sentence and a hint."""
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"type", "message", "hint"}
    return answer.status, answer.json["error"]["message"]


def test_a_button_rolls_back_and_again_until_nothing_is_left(client: Client, home: Home) -> None:
    answer = post(client, reason="answers in French")
    assert answer.status == 200
    record = answer.json["record"]
    assert (record["action"], record["targetVersion"], record["sourceVersion"]) == ("rollback", "1.0.0", "1.1.0")
    assert (record["actor"], record["reason"], answer.json["changed"]) == ("localhost", "answers in French", True)
    assert live(home) == "1.0.0"
    status, message = error(post(client))
    assert status == 409
    assert "nothing served" in message
    assert live(home) == "1.0.0"
    assert read_log(home, "production").breaks == ()


def test_what_was_rolled_back_is_pulled_at_once(client: Client) -> None:
    before = client.get("/v2/team/bot/manifests/production").headers["Docker-Content-Digest"]
    digest = post(client).json["record"]["target"]
    assert client.get("/v2/team/bot/manifests/production").headers["Docker-Content-Digest"] == digest != before


@pytest.mark.parametrize("to", ["2.0.0", "digest", "@{-1}", "@{now}"])
def test_back_to_something_named(client: Client, home: Home, to: str) -> None:
    wanted = {"digest": "2.0.0", "@{-1}": "1.0.0", "@{now}": "1.1.0"}.get(to, to)
    answer = post(client, to=str(home.read("2.0.0").digest) if to == "digest" else to)
    assert answer.status == 200
    assert live(home) == wanted
    assert answer.json["changed"] == (to != "@{now}")


def test_history_and_status(client: Client, home: Home) -> None:
    post(client, reason="because")
    history = client.get(f"{BOT}/history").json
    assert [one["action"] for one in history["records"]] == ["rollback", "promote", "promote"]
    assert history["live"] == history["tagged"] == str(home.read("1.0.0").digest)
    assert (history["breaks"], history["lost"]) == ([], [])
    assert [one["sequence"] for one in client.get(f"{BOT}/history?limit=1").json["records"]] == [3]
    assert client.get(f"{BOT}/history?limit=x").status == 422
    found = client.get("/channels/team/bot").json
    assert {tuple(one["names"]): one["status"] for one in found["versions"]} == {
        ("1.0.0",): "active",
        ("1.1.0",): "deprecated",
        ("2.0.0",): "draft",
    }
    assert found["channels"]["production"]["records"] == 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/channels/team/bot/nothing/rollback", 404),
        ("GET", "/channels/team/bot/nothing/history", 404),
        ("POST", "/channels/team/other/production/rollback", 404),
        ("GET", "/channels/team/other", 404),
        ("GET", "/channels/team/bot/1.0.0/history", 200),  # a tag, and so a channel without a log
        ("GET", "/channels", 404),
        ("GET", "/channels/", 404),
        ("GET", "/channels/Team/bot", 404),
        ("GET", "/channels/../bot", 404),
        ("GET", "/channels/team%2Fbot", 200),
        ("GET", "/channels/%ff/production/history", 404),
        ("POST", "/channels/production/rollback", 405),  # a bundle of that name, as a channel needs one above it
        ("POST", f"/channels/team/bot/{ARCHIVE}/rollback", 404),
        ("GET", f"{BOT}/rollback", 405),
        ("POST", f"{BOT}/history", 405),
        ("DELETE", "/channels/team/bot", 405),
    ],
)
def test_what_is_where(client: Client, method: str, path: str, status: int) -> None:
    answer = client(method, path)
    assert answer.status == status
    if status != 200:
        error(answer)
    if status == 405:
        assert answer.headers["Allow"] in ("GET", "POST")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"\xff", "no JSON object"),
        (b'{"reason": 1}', "reason: expected text"),
        (b'{"to": null}', "to: expected text"),
        (b'{"actor": "the boss"}', "'actor' is not known"),
        (b'{"reason": "%s"}' % (b"x" * 5000), "at most 4000"),
        (b'{"to": "@{next week}"}', "is not a moment"),
    ],
)
def test_a_body_that_cannot_be_understood(client: Client, home: Home, body: bytes, said: str) -> None:
    status, message = error(client("POST", f"{BOT}/rollback", body))
    assert (status, said in message) == (422, True), message
    assert live(home) == "1.1.0"


def test_a_body_without_end_is_not_read(client: Client, home: Home) -> None:
    assert error(client("POST", f"{BOT}/rollback", b" " * (MAX_BODY + 1)))[0] == 413
    assert live(home) == "1.1.0"


def test_what_the_state_of_things_forbids(client: Client, home: Home) -> None:
    assert error(post(client, expect="9.9.9"))[0] == 409
    assert error(post(client, to="9.9.9"))[0] == 404
    archive(home, "2.0.0", ME)
    status, message = error(post(client, to="2.0.0"))
    assert (status, "archived" in message) == (409, True)
    home.target.tag(home.read("2.0.0").descriptor, "team/bot:production")
    status, message = error(post(client))
    assert (status, "moved" in message) == (409, True)
    assert live(home) == "2.0.0"


def test_what_is_expected_is_live(client: Client, home: Home) -> None:
    assert post(client, expect="1.1.0").status == 200
    assert live(home) == "1.0.0"


def test_a_web_page_changes_nothing(client: Client, home: Home) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:5000"):
        assert error(client("POST", f"{BOT}/rollback", b"{}", Origin=origin))[0] == 403
    assert live(home) == "1.1.0"
    assert client.get(f"{BOT}/history", Origin="https://evil.example").status == 200


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
def test_who_comes_through_a_proxy_is_not_from_here(url: str, home: Home, header: str) -> None:
    with talking(url, {header: "10.0.0.7"}) as client:
        for method, path in (("POST", f"{BOT}/rollback"), ("GET", f"{BOT}/history"), ("GET", "/channels/team/bot")):
            assert error(client(method, path))[0] == 403
    assert live(home) == "1.1.0"


def test_a_place_that_is_only_read(layout: Layout, home: Home) -> None:
    with serving(layout, read_only=True) as url, talking(url) as client:
        assert error(post(client))[0] == 403
        assert len(client.get(f"{BOT}/history").json["records"]) == 2
    assert live(home) == "1.1.0"


def test_with_passwords_the_user_is_who_did_it(layout: Layout, home: Home, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"jürgen:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    lines: list[str] = []
    with serving(layout, htpasswd=users, log=lines.append) as url:
        with talking(url) as client:
            answer = post(client)
            assert error(answer)[0] == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
            assert error(client.get("/channels/team/bot"))[0] == 401
        with talking(url, basic("jürgen", "guess")) as client:
            assert error(post(client))[0] == 401
        with talking(url, basic("jürgen", "secret")) as client:
            assert post(client).json["record"]["actor"] == "jürgen"
            assert client.get("/channels/team/bot", X_Forwarded_For="10.0.0.7").status == 200
    assert live(home) == "1.0.0"
    assert [line for line in lines if line.startswith("rolled back team/bot:production sha256:")]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Server:
    """The least that a server does with an ASGI application."""

    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(
        self,
        method: str,
        path: str,
        *parts: bytes,
        root: str = "",
        headers: Mapping[str, str] | None = None,
        raw: bool = True,
    ) -> tuple[int, dict[str, str], Any]:
        path, _, query = path.partition("?")
        listed = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        scope: dict[str, object] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "root_path": root,
            "headers": listed,
            "client": ("192.0.2.1", 1234),
        }
        if raw:
            scope["raw_path"] = path.encode()
        incoming: list[dict[str, object]] = [
            {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
            for number, part in enumerate(parts)
        ]
        sent = asyncio.run(self._run(scope, incoming or [{"type": "http.request"}]))
        start, body = sent
        assert isinstance(start["headers"], list)
        assert isinstance(start["status"], int)
        assert isinstance(body["body"], bytes)
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        assert found["content-length"] == str(len(body["body"]))
        return start["status"], found, json.loads(body["body"])

    async def _run(self, scope: dict[str, object], incoming: list[dict[str, object]]) -> list[dict[str, object]]:
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return incoming.pop(0)

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent

    def live(self, *messages: str) -> list[object]:
        incoming: list[dict[str, object]] = [{"type": message} for message in messages]
        return [one["type"] for one in asyncio.run(self._run({"type": "lifespan"}, incoming))]


def anybody(asked: Asked) -> str:
    return asked.headers.get("x-user", "")


ANNA = {"X-User": "anna"}


def test_the_server_of_somebody_else_has_its_own_users(layout: Layout, home: Home) -> None:
    server = Server(channels_app(layout, anybody))
    assert server("POST", f"{BOT}/rollback")[0] == 401
    status, headers, answer = server("POST", f"{BOT}/rollback", b'{"rea', b'son": "x"}', headers=ANNA)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert (answer["record"]["actor"], answer["record"]["reason"]) == ("anna", "x")
    assert live(home) == "1.0.0"
    assert server("POST", f"{BOT}/rollback", headers=ANNA)[0] == 409
    assert server("POST", f"{BOT}/rollback", headers={**ANNA, "Origin": "x"})[0] == 403
    assert server("POST", f"{BOT}/rollback", b" " * MAX_BODY, b"  ", headers=ANNA)[0] == 413
    assert server("GET", f"{BOT}/history?limit=1", headers=ANNA)[2]["records"][0]["actor"] == "anna"
    assert server.live("lifespan.startup", "lifespan.shutdown") == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.parametrize(("path", "root"), [("/kit/channels/team/bot", "/kit"), ("/channels/team/bot", "/kit")])
@pytest.mark.parametrize("raw", [True, False])
def test_it_is_mounted_somewhere(layout: Layout, home: Home, path: str, root: str, raw: bool) -> None:
    assert live(home) == "1.1.0"
    server = Server(channels_app(layout, anybody))
    assert server("GET", path, root=root, headers=ANNA, raw=raw)[0] == 200


def test_who_is_known_and_may_not(layout: Layout, home: Home) -> None:
    def refuse(asked: Asked) -> str:
        assert asked.client == "192.0.2.1"
        raise PermissionError("only the on-call may")

    authorize: Authorize = refuse
    status, _, answer = Server(channels_app(layout, authorize))("POST", f"{BOT}/rollback")
    assert (status, answer["error"]["message"]) == (403, "only the on-call may")
    assert Server(channels_app(layout, anybody, read_only=True))("POST", f"{BOT}/rollback", headers=ANNA)[0] == 403
    assert live(home) == "1.1.0"


def test_a_client_that_hangs_up(layout: Layout, home: Home) -> None:
    app = channels_app(layout, anybody)

    async def leave() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def take(message: dict[str, object]) -> None:
        assert message.get("status", 400) == 400

    scope = {"type": "http", "method": "POST", "path": f"{BOT}/rollback", "headers": [(b"x-user", b"anna")]}

    async def run() -> None:
        await app(scope, leave, take)

    asyncio.run(run())
    assert live(home) == "1.1.0"


def test_the_channels_of_a_registry(layout: Layout, home: Home, tmp_path: Path) -> None:
    with serving(layout) as url:
        address = url.partition("://")[2]
        server = Server(channels_app(f"{address}/team", anybody, settings=settings_in(tmp_path)))
        assert server("POST", "/channels/bot/production/rollback", headers=ANNA)[2]["record"]["actor"] == "anna"
        assert server("GET", "/channels/bot", headers=ANNA)[0] == 200
        assert server("GET", "/channels/nothing", headers=ANNA)[0] == 404
    assert live(home) == "1.0.0"
    assert server("GET", "/channels/bot", headers=ANNA)[0] == 502
    with pytest.raises(InvalidReferenceError):
        channels_app("team", anybody, settings=settings_in(tmp_path))


def test_failures_of_the_place_are_answered() -> None:
    class Full(Memory):
        def tags(self) -> Iterator[str]:
            raise OSError(28, "No space left on device")

        def publish(self, manifest: Manifest, reference: str) -> None:
            """Never called."""

    channels = Channels(lambda name: Home(target=Full(), label=name))
    answered = channels.answer(Asked(method="GET", path="/channels/bot"), "me")
    assert (answered.status, json.loads(answered.body)["error"]["message"]) == (
        500,
        "this cannot be done here: No space left on device",
    )
