"""``kitpack prompt run``: the answer goes to standard output, everything about it to standard error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Terminal
from tests.support.model_server import Answer, ModelServer, gpt, gpt_stream, model_server

TRIAGE = """\
---
name: triage
model: test-1
parameters: {temperature: 0.2, max_tokens: 40}
variables:
  tier: {type: string}
  count: {type: integer, default: 1}
---
system:
You serve {{ tier }} customers, {{ count }} at a time.
user:
Hello.
"""


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture
def type_(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "triage.md").write_text(TRIAGE, encoding="utf-8")
    (folder / "Kitfile").write_text(
        "manifestVersion: 1.0.0\npackage: {name: bot, version: 1.0.0}\nprompts:\n  - path: prompts/triage.md\n",
        encoding="utf-8",
    )
    return folder


def test_the_answer_arrives_in_pieces(type_: Terminal, bot: Path, models: ModelServer) -> None:
    models.says(gpt_stream("Good ", "morning \x1b[2J🎉"))
    ended = type_(
        *("prompt", "run", bot, "--prompt", "triage", "--provider", f"{models.url}/v1"),
        *("--var", "tier=gold", "--var", "count=3", "--set", "temperature=0"),
        environment={"KITPACK_MODEL_KEY": "sk-local-key-1"},
    )
    assert ended.out.startswith("Good morning ")
    assert "\x1b" not in ended.out
    assert ended.err.startswith("test-1: 11 tokens in, 7 out, ")
    [asked] = models.asked
    assert asked.headers["authorization"] == "Bearer sk-local-key-1"
    assert asked.body["messages"] == [
        {"role": "system", "content": "You serve gold customers, 3 at a time."},
        {"role": "user", "content": "Hello."},
    ]
    assert (asked.body["temperature"], asked.body["max_tokens"], asked.body["stream"]) == (0, 40, True)


def test_what_is_odd_is_told_once_and_never_silenced(type_: Terminal, bot: Path, models: ModelServer) -> None:
    models.says(gpt("Good", model="other-2", reason="length"))
    run = ("prompt", "run", bot, "--provider", f"{models.url}/v1", "--var", "tier=gold", "--no-stream", "--quiet")
    ended = type_(*run)
    assert ended.out == "Good\n"
    assert ended.err.splitlines() == [
        "warning: the answer was cut off at the limit of its length (max_tokens)",
        "warning: test-1 was asked for, and other-2 answered",
    ]


def test_an_answer_for_machines(type_: Terminal, bot: Path, models: ModelServer) -> None:
    models.says(gpt("Good"))
    ended = type_("prompt", "run", bot, "triage", "--provider", f"{models.url}/v1", "--var", "tier=gold", "--json")
    found = ended.json
    assert (found["text"], found["finishReason"], found["truncated"], found["tries"]) == ("Good", "stop", False, 1)
    assert found["usage"] == {"input": 11, "output": 7, "cached": 4, "cacheWritten": None, "reasoning": 2}
    assert (found["identity"]["promptName"], found["identity"]["promptVersion"]) == ("triage", "1.0.0")


def test_a_packed_prompt_is_asked_the_same(type_: Terminal, bot: Path, models: ModelServer) -> None:
    models.says(gpt("Good"))
    type_("pack", bot, "-t", "bot:1.0.0")
    digest = type_("inspect", "bot:1.0.0", "--json").json["digest"]
    ended = type_("prompt", "run", "bot:1.0.0", "--provider", f"{models.url}/v1", "--var", "tier=gold", "--json")
    assert ended.json["identity"]["bundleDigest"] == digest


def test_a_key_that_is_not_accepted(type_: Terminal, bot: Path, models: ModelServer) -> None:
    models.says(Answer(status=401, pieces=[b'{"error": {"message": "bad key sk-local-key-1"}}']))
    ended = type_(
        *("prompt", "run", bot, "--provider", f"{models.url}/v1", "--var", "tier=gold"),
        environment={"KITPACK_MODEL_KEY": "sk-local-key-1"},
        code=9,
    )
    assert ended.out == ""
    assert "401" in ended.err
    assert "check KITPACK_MODEL_KEY" in ended.err
    assert "sk-local-key-1" not in ended.err


def test_nothing_is_asked_for_nothing(type_: Terminal, bot: Path, models: ModelServer) -> None:
    run = ("prompt", "run", bot, "--provider", f"{models.url}/v1")
    assert "tier" in type_(*run, code=3).err
    assert "OPENAI_API_KEY" in type_("prompt", "run", bot, "--provider", "openai", "--var", "tier=x", code=9).err
    assert "NAME=VALUE" in type_(*run, "--var", "tier", code=2).err
    assert "parameter" in type_(*run, "--var", "tier=x", "--set", "stream=true", code=2).err
    assert models.asked == []
