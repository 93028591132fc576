"""What a prompt was tuned for reaches the model, and the answer says which prompt it is one to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field

import pytest

from kitpack.errors import UsageError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.runtime.calling.attributes import reply_attributes
from kitpack.runtime.calling.prompted import Wishes, acall_prompt, astream_prompt, call_prompt, stream_prompt
from kitpack.runtime.calling.reply import Reply
from kitpack.runtime.identity import Identity
from tests.support.model_server import ModelServer, claude, gpt, gpt_stream
from tests.unit.runtime.calling.conftest import at

WHO = Identity(prompt_name="triage", prompt_version="1.4.0", bundle_digest="sha256:" + "a" * 64)
SCHEMA: JsonObject = {"type": "object", "required": ["tier"], "properties": {"tier": {"enum": ["gold", "basic"]}}}


@dataclass(frozen=True, kw_only=True)
class Said:
    """A prompt that was rendered."""

    spoken: list[dict[str, Json]] = field(default_factory=lambda: [{"role": "user", "content": "Which tier?"}])
    parameters: JsonObject = field(default_factory=lambda: {"temperature": 0.2, "max_tokens": 50})
    model: str = "test-1"
    identity: Identity = WHO
    output: JsonObject | None = None
    tools: Json = None

    def active(self) -> AbstractContextManager[None]:
        return nullcontext()


def _all_ways(models: ModelServer, said: Said, wishes: Wishes | None = None) -> Iterator[Reply]:
    yield call_prompt(said, at(models), wishes)
    yield asyncio.run(acall_prompt(said, at(models), wishes))
    *_, last = stream_prompt(said, at(models), wishes)
    assert last.reply is not None
    yield last.reply

    async def streamed() -> Reply:
        async with aclosing(astream_prompt(said, at(models), wishes)) as chunks:
            found = [chunk.reply async for chunk in chunks][-1]
        assert found is not None
        return found

    yield asyncio.run(streamed())


def test_the_answer_says_which_prompt_it_is_to(models: ModelServer) -> None:
    models.says(gpt())
    for reply in _all_ways(models, Said()):
        assert (reply.text, reply.identity, reply.model_mismatch) == ("Hello.", WHO, "")
    for asked in models.asked:
        assert (asked.body["model"], asked.body["temperature"], asked.body["max_tokens"]) == ("test-1", 0.2, 50)


def test_the_application_has_the_last_word(models: ModelServer) -> None:
    models.says(gpt())
    wishes = Wishes(model="other-1", parameters={"temperature": None, "max_tokens": 9})
    for reply in _all_ways(models, Said(), wishes):
        assert reply.model_mismatch == "other-1 was asked for, and test-1 answered"
    assert models.asked[0].body == {
        "model": "other-1",
        "messages": [{"role": "user", "content": "Which tier?"}],
        "max_tokens": 9,
    }


def test_a_model_that_is_not_the_target_is_told(models: ModelServer) -> None:
    models.says(gpt(model="test-1"))
    [*_, reply] = _all_ways(models, Said(model="gpt-4.*"), Wishes(model="test-1"))
    assert reply.model_mismatch == "the prompt is tuned for gpt-4.*, and test-1 answered"
    assert call_prompt(Said(model="bundle"), at(models), Wishes(model="test-1")).model_mismatch == ""


@pytest.mark.parametrize("model", ["", "bundle", "gpt-4.*"])
def test_one_model_has_to_be_named(models: ModelServer, model: str) -> None:
    with pytest.raises(UsageError) as caught:
        stream_prompt(Said(model=model), at(models))
    assert "--model" in caught.value.hint
    assert models.asked == []


@pytest.mark.parametrize(
    ("text", "data", "fault"),
    [
        ('{"tier": "gold"}', {"tier": "gold"}, ""),
        ('{"tier": "silver"}', {"tier": "silver"}, "tier"),
        ("Gold, I think.", None, "not JSON"),
        ("```json\n{}\n```", None, "not JSON"),
    ],
)
def test_the_answer_is_held_against_its_schema(
    models: ModelServer, caplog: pytest.LogCaptureFixture, text: str, data: Json, fault: str
) -> None:
    models.says(gpt(text))
    for reply in _all_ways(models, Said(output=SCHEMA)):
        assert reply.data == data
        assert fault in " ".join(reply.output_faults)
        assert bool(reply.output_faults) == bool(fault)
    assert ("triage@1.4.0" in caplog.text) == bool(fault)
    assert "response_format" not in models.asked[0].body


def test_a_schema_for_text_is_for_the_text(models: ModelServer) -> None:
    models.says(gpt("12"))
    assert call_prompt(Said(output={"type": "string", "maxLength": 5}), at(models)).data == "12"


def test_the_endpoint_may_be_asked_to_keep_to_the_schema(models: ModelServer) -> None:
    models.says(gpt('{"tier": "gold"}'))
    call_prompt(Said(output=SCHEMA), at(models), Wishes(constrained=True))
    assert models.asked[0].body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_the_attributes_of_an_answer(models: ModelServer) -> None:
    models.says(gpt(model="test-1-2025-01-01"))
    assert reply_attributes(call_prompt(Said(), at(models))) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "127.0.0.1",
        "gen_ai.request.model": "test-1",
        "gen_ai.response.model": "test-1-2025-01-01",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    models.says(claude())
    found = reply_attributes(call_prompt(Said(model="claude-test-1"), at(models, "anthropic")))
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.cache_write.input_tokens"]) == (11, 2)


def test_what_was_said_is_in_no_log(models: ModelServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    models.says(gpt_stream("the answer is marzipan", reason="length"))
    *_, last = stream_prompt(Said(spoken=[{"role": "user", "content": "my word is turquoise"}]), at(models))
    assert last.reply is not None
    assert last.reply.truncated
    assert "turquoise" not in caplog.text
    assert "marzipan" not in caplog.text
