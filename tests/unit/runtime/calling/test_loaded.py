"""A prompt of a loaded bundle is asked in one line."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from kitpack.runtime.calling.prompted import Wishes
from kitpack.runtime.load import load
from tests.support.model_server import ModelServer, gpt, gpt_stream
from tests.unit.runtime.calling.conftest import at

GREET = """\
---
name: greet
model: test-1
variables: [customer]
parameters: {temperature: 0}
---
Greet {{ customer }}.
"""


def test_a_prompt_is_asked_in_one_line(tmp_path: Path, models: ModelServer) -> None:
    (tmp_path / "greet.md").write_text(GREET, encoding="utf-8")
    prompt = load(tmp_path).prompt("greet")
    models.says(gpt())
    assert prompt.call(at(models), customer="Ada").identity == prompt.identity
    assert asyncio.run(prompt.acall(at(models), {"customer": "Ada"}, model="test-1")).text == "Hello."
    models.says(gpt_stream("Hel", "lo."))
    assert "".join(chunk.text for chunk in prompt.stream(at(models), customer="Ada")) == "Hello."

    async def streamed() -> str:
        async with aclosing(prompt.astream(at(models), customer="Ada")) as chunks:
            return "".join([chunk.text async for chunk in chunks])

    assert asyncio.run(streamed()) == "Hello."
    assert {asked.body["messages"][0]["content"] for asked in models.asked} == {"Greet Ada.\n"}
    assert {asked.body["temperature"] for asked in models.asked} == {0}


def test_a_rendered_prompt_is_asked_with_wishes(tmp_path: Path, models: ModelServer) -> None:
    (tmp_path / "greet.md").write_text(GREET, encoding="utf-8")
    models.says(gpt())
    rendered = load(tmp_path).prompt("greet").render(customer="Ada")
    rendered.call(at(models), Wishes(parameters={"temperature": 1, "max_tokens": 5}))
    assert (models.asked[0].body["temperature"], models.asked[0].body["max_tokens"]) == (1, 5)
