from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from kitpack.content.registry import credentials
from kitpack.content.registry.credentials import Credential
from kitpack.errors import AuthError
from kitpack.settings import Settings
from tests.support.registry import config_of, settings_in

Config = dict[str, object]

HELPER = """#!/bin/sh
input=$(cat)
echo "$1 $input" >> "$(dirname "$0")/calls"
{script}
"""


def basic(username: str, password: str) -> dict[str, object]:
    return {"auth": b64encode(f"{username}:{password}".encode()).decode()}


def configured(folder: Path, config: Config, **changes: object) -> Settings:
    settings = settings_in(folder, **changes)
    config_of(settings).parent.mkdir(exist_ok=True)
    config_of(settings).write_text(json.dumps(config))
    return settings


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def helper(folder: Path, name: str, script: str) -> None:
    path = folder / f"docker-credential-{name}"
    path.write_text(HELPER.format(script=script))
    path.chmod(0o755)


def says(username: str, secret: str) -> str:
    return f"echo '{json.dumps({'ServerURL': 'x', 'Username': username, 'Secret': secret})}'"


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def user(name: str, password: str = "pw") -> Credential:
    return Credential(username=name, password=password)


@pytest.mark.parametrize(
    ("auths", "registry", "repository", "found"),
    [
        ({"r.example": basic("me", "a:b")}, "r.example", "x", user("me", "a:b")),
        ({"r.example": basic("me", "pw")}, "other.example", "x", None),
        ({"https://r.example/v1/": basic("me", "pw")}, "r.example", "x", user("me")),
        ({"https://r.example/v2/": basic("old", "pw"), "r.example": basic("me", "pw")}, "r.example", "x", user("me")),
        ({"r.example": basic("me", "pw"), "http://r.example": basic("old", "pw")}, "r.example", "x", user("me")),
        ({"r.example/v1/": basic("me", "pw")}, "r.example", "x", user("me")),
        ({"https://index.docker.io/v1/": basic("me", "pw")}, "docker.io", "library/x", user("me")),
        ({"docker.io": basic("me", "pw")}, "registry-1.docker.io", "library/x", user("me")),
        ({"r.example": {"username": "me", "password": "pw"}}, "r.example", "x", user("me")),
        ({"r.example": {"identitytoken": "tok"}}, "r.example", "x", Credential(identity_token="tok")),
        (
            {"r.example": {**basic("me", ""), "identitytoken": "tok"}},
            "r.example",
            "x",
            Credential(username="me", identity_token="tok"),
        ),
        ({"r.example": {"registrytoken": "tok"}}, "r.example", "x", Credential(registry_token="tok")),
        ({"r.example": {}}, "r.example", "x", None),
        ({"r.example": basic("host", "pw"), "r.example/a": basic("a", "pw")}, "r.example", "a/b", user("a")),
        ({"r.example/a": basic("a", "pw"), "r.example/a/b": basic("ab", "pw")}, "r.example", "a/b", user("ab")),
        ({"r.example": basic("host", "pw"), "r.example/a": basic("a", "pw")}, "r.example", "ab", user("host")),
        ({"localhost:5000": basic("me", "pw")}, "127.0.0.1:5000", "x", user("me")),
        ({"127.0.0.1:5000": basic("me", "pw")}, "localhost:5000", "x", user("me")),
        ({"localhost:5000": basic("me", "pw")}, "localhost:5001", "x", None),
    ],
)
def test_credentials_in_the_file(
    tmp_path: Path, auths: Config, registry: str, repository: str, found: Credential | None
) -> None:
    settings = configured(tmp_path, {"auths": auths})
    assert credentials.find(settings, registry, repository) == found


def test_without_files_there_are_none_and_oras_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from kitpack.settings import Settings\n"
        "from kitpack.content.registry import credentials\n"
        f"settings = Settings(home=Path({str(tmp_path)!r}), docker_config=Path({str(tmp_path)!r}, 'none'))\n"
        "assert credentials.find(settings, 'r.example') is None\n"
        "sys.exit('oras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_podmans_file_is_asked_after_dockers(tmp_path: Path) -> None:
    second = tmp_path / "auth.json"
    second.write_text(json.dumps({"auths": {"r.example": basic("podman", "pw"), "p.example": basic("p", "pw")}}))
    settings = configured(tmp_path, {"auths": {"r.example": basic("docker", "pw")}}, auth_file=second)
    assert credentials.find(settings, "r.example") == user("docker")
    assert credentials.find(settings, "p.example") == user("p")


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"auths": []}', '{"auths": {"a": 1}}', '{"credHelpers": {"a": {}}}', '{"credsStore": 1}', "\xff"],
)
def test_a_broken_file_is_named_and_never_overwritten(tmp_path: Path, content: str) -> None:
    settings = configured(tmp_path, {})
    config_of(settings).write_bytes(content.encode("latin-1"))
    for action in (
        lambda: credentials.find(settings, "r.example"),
        lambda: credentials.store(settings, "r.example", user("me")),
        lambda: credentials.erase(settings, "r.example"),
    ):
        with pytest.raises(AuthError, match=r"config\.json"):
            action()
    assert config_of(settings).read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize("auth", ["%%%", "bm8gY29sb24=", 5, "OnB3"])
def test_a_broken_entry_is_an_error(tmp_path: Path, auth: object) -> None:
    settings = configured(tmp_path, {"auths": {"r.example": {"auth": auth}}})
    with pytest.raises(AuthError, match=r"config\.json"):
        credentials.find(settings, "r.example")


def test_secrets_are_not_shown() -> None:
    shown = repr(Credential(username="me", password="s1", identity_token="s2", registry_token="s3"))
    assert "me" in shown
    assert not any(secret in shown for secret in ("s1", "s2", "s3"))


def test_the_helper_of_the_host_wins_over_the_general_one(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "one", says("one", "pw"))
    helper(helpers, "all", says("all", "pw"))
    settings = configured(tmp_path, {"credHelpers": {"r.example": "one"}, "credsStore": "all"})
    assert credentials.find(settings, "r.example", "a/b") == user("one")
    assert credentials.find(settings, "other.example") == user("all")
    assert calls(helpers) == ["get r.example", "get other.example"]


def test_helpers_know_docker_hub_by_its_old_name(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "all", says("me", "pw"))
    settings = configured(tmp_path, {"credsStore": "all"})
    assert credentials.find(settings, "docker.io", "library/x") == user("me")
    assert calls(helpers) == ["get https://index.docker.io/v1/"]


def test_a_helper_may_keep_an_identity_token(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "all", says("<token>", "tok"))
    settings = configured(tmp_path, {"credsStore": "all"})
    assert credentials.find(settings, "r.example") == Credential(identity_token="tok")


def test_a_helper_that_has_none_is_no_failure(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "all", "echo 'credentials not found in native keychain'; exit 1")
    settings = configured(tmp_path, {"auths": {"r.example": {}}, "credsStore": "all"})
    assert credentials.find(settings, "r.example") is None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'the keyring is locked' >&2; exit 1", "the keyring is locked"),
        ("exit 3", "exit status 3"),
        ("echo hello", "not JSON"),
        ("echo '{}'", "without Username"),
    ],
)
def test_a_failing_helper_says_why(tmp_path: Path, helpers: Path, script: str, message: str) -> None:
    helper(helpers, "all", script)
    settings = configured(tmp_path, {"credsStore": "all"})
    with pytest.raises(AuthError, match=message):
        credentials.find(settings, "r.example")


@pytest.mark.parametrize("name", ["surely-not-installed", "../../bin/sh", "a b", ""])
def test_a_missing_helper_is_an_error(tmp_path: Path, name: str) -> None:
    settings = configured(tmp_path, {"credHelpers": {"r.example": name or "-"}})
    with pytest.raises(AuthError, match="not on PATH"):
        credentials.find(settings, "r.example")


def test_storing_and_erasing_keeps_everything_else(tmp_path: Path) -> None:
    before: Config = {
        "auths": {"other.example": basic("o", "pw"), "https://r.example/v1/": basic("old", "pw")},
        "psFormat": "x",
    }
    settings = configured(tmp_path, before)
    credentials.store(settings, "r.example", user("me"))
    written = json.loads(config_of(settings).read_text())
    assert written == {"auths": {"other.example": basic("o", "pw"), "r.example": basic("me", "pw")}, "psFormat": "x"}
    assert credentials.find(settings, "r.example") == user("me")
    assert credentials.erase(settings, "r.example")
    assert not credentials.erase(settings, "r.example")
    written = json.loads(config_of(settings).read_text())
    assert written == {"auths": {"other.example": basic("o", "pw")}, "psFormat": "x"}


@pytest.mark.parametrize(
    "credential",
    [user("me"), Credential(username="me", identity_token="tok"), Credential(registry_token="tok")],
)
def test_what_is_stored_is_found(tmp_path: Path, credential: Credential) -> None:
    settings = settings_in(tmp_path)
    credentials.store(settings, "docker.io", credential)
    assert credentials.find(settings, "docker.io") == credential
    assert stat.S_IMODE(config_of(settings).stat().st_mode) == 0o600
    assert list(config_of(settings).parent.iterdir()) == [settings.docker_config]
    assert list(json.loads(config_of(settings).read_text())["auths"]) == ["https://index.docker.io/v1/"]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    target = tmp_path / "dotfiles" / "docker.json"
    target.parent.mkdir()
    target.write_text("{}")
    config_of(settings).parent.mkdir()
    config_of(settings).symlink_to(target)
    credentials.store(settings, "r.example", user("me"))
    assert config_of(settings).is_symlink()
    assert "r.example" in json.loads(target.read_text())["auths"]


def test_storing_goes_through_the_helper(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "all", "exit 0")
    settings = configured(tmp_path, {"auths": {"r.example": basic("old", "pw")}, "credsStore": "all"})
    credentials.store(settings, "r.example", user("me", "s3cret"))
    credentials.store(settings, "r.example", Credential(identity_token="tok"))
    assert credentials.erase(settings, "r.example")
    assert calls(helpers) == [
        'store {"ServerURL":"r.example","Username":"me","Secret":"s3cret"}',
        'store {"ServerURL":"r.example","Username":"<token>","Secret":"tok"}',
        "erase r.example",
    ]
    assert json.loads(config_of(settings).read_text()) == {"auths": {}, "credsStore": "all"}


def test_a_helper_that_cannot_store_is_an_error(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "all", "echo 'read only'; exit 1")
    settings = configured(tmp_path, {"credsStore": "all"})
    with pytest.raises(AuthError, match="read only"):
        credentials.store(settings, "r.example", user("me"))
