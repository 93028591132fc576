"""What the environment says, and what it fails to say."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest

from kitpack.content.registry.credentials import Credential, erase, find, store
from kitpack.errors import UsageError
from kitpack.settings import Settings


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in the system's list."""

    def unknown(name: object) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)


@pytest.mark.usefixtures("nobody")
def test_the_home_folder_is_only_asked_for_when_it_is_needed(tmp_path: Path) -> None:
    settings = Settings.from_env({"KITPACK_HOME": str(tmp_path)})
    assert (settings.home, settings.docker_config) == (tmp_path, None)
    assert find(settings, "localhost:5000") is None
    assert not erase(settings, "localhost:5000")
    with pytest.raises(UsageError, match="home folder") as caught:
        store(settings, "localhost:5000", Credential(username="me", password="pw"))
    assert "DOCKER_CONFIG" in caught.value.hint
    both = Settings.from_env({"KITPACK_HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)})
    assert both.docker_config == tmp_path / "config.json"
    if sys.platform != "darwin":
        assert Settings.from_env({"XDG_DATA_HOME": str(tmp_path)}).home == tmp_path / "kitpack"


@pytest.mark.usefixtures("nobody")
def test_nobody_says_where_the_store_is() -> None:
    with pytest.raises(UsageError) as caught:
        Settings.from_env({})
    assert caught.value.hint == "export KITPACK_HOME=/DIR"


@pytest.mark.parametrize("name", ["KITPACK_HOME", "DOCKER_CONFIG", "KITPACK_CA_FILE"])
def test_a_user_there_is_not_has_no_home(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}='~no-such-user/x'") as caught:
        Settings.from_env({"HOME": os.sep, name: "~no-such-user/x"})
    assert name in caught.value.hint
