"""Configs by name, parsed where their names say how, and as they hold in one environment."""

from __future__ import annotations

import pytest

from kitpack.errors import NotFoundError, PromptError
from kitpack.runtime.configs import Configs

FILES = {
    "config/prompt_config.yaml": b"a: 1.10\nb: [yes, 2]\nc: {d: 1, e: 1}\n"
    b"environments:\n  prod: {b: [], c: {d: 2}}\n  dev:\n",
    "config/limits.json": b'\xef\xbb\xbf{"requests": 3}',
    "config/app.toml": b"[log]\nlevel = 'debug'\n",
    "config/notes.txt": b"as it is\n",
    "one/same.json": b"1",
    "two/same.yaml": b"2",
    "bad.json": b"{",
    "bad.toml": b"=",
    "bad.yaml": b"a: &x 1\nb: *x\n",
    "bad.txt": b"\xff",
    "deep.json": b"[" * 100_000,
}


@pytest.fixture
def configs() -> Configs:
    return Configs(FILES)


@pytest.mark.parametrize("name", ["config/limits.json", "limits.json", "limits"])
def test_a_config_is_found_by_path_file_name_and_stem(configs: Configs, name: str) -> None:
    assert configs[name] == {"requests": 3}
    assert name in configs
    assert configs.get(name) == {"requests": 3}


def test_what_is_parsed_and_what_is_text(configs: Configs) -> None:
    assert configs["app"] == {"log": {"level": "debug"}}
    assert configs["notes"] == "as it is\n"
    assert configs.raw("notes") == b"as it is\n"
    assert len(configs) == len(FILES)
    assert list(configs) == list(FILES)


def test_a_name_of_several_configs_means_none_of_them(configs: Configs) -> None:
    assert "same" not in configs
    assert configs.get("same") is None
    with pytest.raises(NotFoundError, match="2 configs") as caught:
        configs.path_of("same")
    assert caught.value.hint == "ask for one/same.json or two/same.yaml"
    assert configs["same.json"] == 1


def test_a_misspelt_name(configs: Configs) -> None:
    with pytest.raises(NotFoundError) as caught:
        configs.resolved("prompt_confg")
    assert "prompt_config" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        Configs({}).resolved("x")
    assert caught.value.hint == "it has none"


@pytest.mark.parametrize("name", ["bad.json", "bad.toml", "bad.yaml", "bad.txt", "deep"])
def test_a_bad_config_is_a_fault_that_names_it_and_hides_no_other(configs: Configs, name: str) -> None:
    with pytest.raises(PromptError) as caught:
        configs[name]
    assert caught.value.issues[0].path == configs.path_of(name)
    assert configs["limits"] == {"requests": 3}
    assert configs.raw(name) == FILES[configs.path_of(name)]


def test_an_environment_is_laid_over_the_rest(configs: Configs) -> None:
    plain = {"a": 1.1, "b": ["yes", 2], "c": {"d": 1, "e": 1}}
    assert configs.resolved("prompt_config", "prod") == plain | {"b": [], "c": {"d": 2, "e": 1}}
    assert configs.resolved("prompt_config", "dev") == plain
    whole = configs.resolved("prompt_config")
    assert isinstance(whole, dict)
    assert set(whole) == {"a", "b", "c", "environments"}


def test_an_unknown_environment(configs: Configs) -> None:
    with pytest.raises(NotFoundError) as caught:
        configs.resolved("prompt_config", "stage")
    assert caught.value.hint == "it knows prod, dev"
    with pytest.raises(NotFoundError):
        configs.resolved("limits", "prod")
    with pytest.raises(NotFoundError):
        configs.resolved("notes", "prod")
