"""Who is asked, with what, and whether the right one answered."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.errors import KitpackError, ModelAuthError, UsageError
from kitpack.runtime.calling import anthropic, openai
from kitpack.runtime.calling.asking import asked, encoded
from kitpack.runtime.calling.failures import Refusal
from kitpack.runtime.calling.models import matches, mismatch
from kitpack.runtime.calling.provider import Provider, Retries, origin_of, provider
from kitpack.runtime.calling.retry import asked_to_wait, delay_before, is_transient
from kitpack.runtime.calling.sse import Events
from kitpack.settings import ModelAccess, Secret

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
ALL = ModelAccess.from_env(
    {
        "OPENAI_API_KEY": "sk-openai ",
        "ANTHROPIC_API_KEY": "sk-anthropic",
        "DEEPSEEK_API_KEY": "sk-deepseek",
        "KITPACK_MODEL_KEY": "sk-mine",
    }
)


@pytest.mark.parametrize(
    ("name", "url", "kind", "key"),
    [
        ("openai", "https://api.openai.com/v1", "openai", "sk-openai"),
        ("anthropic", "https://api.anthropic.com", "anthropic", "sk-anthropic"),
        ("deepseek", "https://api.deepseek.com/v1", "openai", "sk-deepseek"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1", "openai", "sk-openai"),
        ("https://API.anthropic.com:443/v1/messages", "https://API.anthropic.com:443", "anthropic", "sk-anthropic"),
        ("http://localhost:8080", "http://localhost:8080/v1", "openai", "sk-mine"),
        ("http://localhost:8080/v1/chat/completions", "http://localhost:8080/v1", "openai", "sk-mine"),
        ("http://api.openai.com/v1", "http://api.openai.com/v1", "openai", "sk-mine"),
        ("https://api.openai.com.evil.example/v1", "https://api.openai.com.evil.example/v1", "openai", "sk-mine"),
    ],
)
def test_a_key_goes_where_it_belongs(name: str, url: str, kind: str, key: str) -> None:
    found = provider(name, access=ALL)
    assert (found.base_url, found.kind, found.key.text) == (url, kind, key)


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("http://models.example/v1", True),
        ("http://10.0.0.7:8080/v1", True),
        ("http://localhost:8080/v1", False),
        ("http://models.localhost/v1", False),
        ("http://127.0.0.9/v1", False),
        ("http://[::1]:8080/v1", False),
        ("https://models.example/v1", False),
    ],
)
def test_a_key_that_others_can_read_on_the_way_is_pointed_out(
    name: str, tells: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert provider(name, access=ALL).tells_its_key == tells
    assert bool(caplog.records) == tells
    assert "sk-mine" not in caplog.text
    assert not provider(name, key="").tells_its_key


def test_the_environment_may_say_where_a_vendor_is() -> None:
    access = ModelAccess.from_env({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://gateway.example/openai"})
    found = provider("openai", access=access)
    assert (found.base_url, found.key.text, found.name) == ("https://gateway.example/openai", "k", "openai")
    local = ModelAccess.from_env({"ANTHROPIC_BASE_URL": "http://localhost:1/v1"})
    assert provider("anthropic", access=local).base_url == "http://localhost:1"


@pytest.mark.parametrize("name", ["openai", "anthropic", "deepseek", "https://api.openai.com/v1"])
def test_a_vendor_wants_a_key(name: str) -> None:
    with pytest.raises(ModelAuthError, match="_API_KEY is not set") as caught:
        provider(name, access=ModelAccess())
    assert caught.value.hint.startswith("export ")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt",
        "ftp://x/v1",
        "http://",
        "http://user:pw@host/v1",
        "http://host/v1?key=s3cret",
        "http://host/v1#a",
        "http://ho st/v1",
        "http://host:99999/v1",
        "http://host\\@evil/v1",
        "http://h\nost/",
        "http://[::1/v1",
    ],
)
def test_what_is_no_provider(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        provider(name, access=ALL)
    assert "s3cret" not in caught.value.message
    assert "pw" not in caught.value.message


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "kéy", 'x"\r\nEvil: 1'])
def test_a_key_that_cannot_be_sent_is_not_shown(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        provider("openai", key=key)
    assert key not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    "headers", [{"Authorization": "x"}, {"X-Api-Key": "x"}, {"Host": "evil"}, {"A b": "c"}, {"A": "b\r\nC: d"}]
)
def test_headers_that_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="the header"):
        provider("http://localhost/v1", headers=headers, access=ALL)


def test_a_secret_hides() -> None:
    found = provider("openai", access=ALL, headers={"X-Org": "hush"})
    shown = " ".join([str(found), repr(ALL), str(found.key), f"{found.key}", repr([found.key])])
    assert not [word for word in ("sk-openai", "sk-mine", "sk-anthropic", "hush") if word in shown]
    assert pickle.loads(pickle.dumps(found)).key.text == "sk-openai"  # for the processes of an application
    assert (bool(Secret("")), bool(Secret("x"))) == (False, True)


SAME = [
    ("gpt-4o", "gpt-4o"),
    ("gpt-4o", "GPT-4o"),
    ("gpt-4o", "gpt-4o-2024-08-06"),
    ("gpt-4", "gpt-4-0613"),
    ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
    ("claude-sonnet-4", "claude-sonnet-4@20250514"),
    ("llama3.1", "llama3.1:latest"),
    ("gpt-4.*", "gpt-4.1-mini"),
    ("llama-3*", "meta-llama/Llama-3.1-8B"),
    ("gpt-4o", "openai/gpt-4o"),
    ("mistral-7b", "/models/mistral-7b.gguf"),
    ("meta/llama-3", "meta/llama-3"),
]
OTHER = [
    ("gpt-4o", "gpt-4o-mini"),
    ("gpt-4o", "gpt-4"),
    ("gpt-4", "gpt-4.1-2025-04-14"),
    ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13"),
    ("gpt-4.*", "gpt-4o"),
    ("llama3:8b", "llama3:70b"),
    ("meta/llama-3", "evil/llama-3"),
    ("meta/llama-3", "llama-3"),
]


@pytest.mark.parametrize(("wanted", "found"), SAME)
def test_the_same_model(wanted: str, found: str) -> None:
    assert matches(wanted, found)


@pytest.mark.parametrize(("wanted", "found"), OTHER)
def test_another_model(wanted: str, found: str) -> None:
    assert not matches(wanted, found)


def test_what_differs_is_told() -> None:
    assert mismatch("", requested="a", target="b") == ""
    assert mismatch("a-2025-01-01", requested="a", target="a*") == ""
    assert mismatch("c", requested="a", target="c") == "a was asked for, and c answered"
    assert mismatch("a", requested="a", target="b*") == "the prompt is tuned for b*, and a answered"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"model": "x"}, "model"),
        ({"base_url": "http://evil", "api_key": "k"}, "api_key"),
        ({"messages": [], "stream": True}, "stream"),
        ({"n": 3}, "one answer"),
        ({"mcp_servers": [{"url": "http://evil"}]}, "structured"),
        ({"web_search_options": {}}, "structured"),
        ({"temperature": float("nan")}, "JSON"),
    ],
)
def test_parameters_that_are_refused(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        encoded(openai.DIALECT.speak(_local(), asked(HELLO, model="m", parameters=parameters)).body)


def test_parameters_pass_through() -> None:
    given_: dict[str, Any] = {
        "temperature": 0,
        "min_p": 0.1,
        "stop": ["a", "b"],
        "logit_bias": {"5": 1},
        "seed": None,
        "x_new": "y",
    }
    body = openai.DIALECT.speak(_local(), asked(HELLO, model="m", parameters=given_)).body
    assert body == {
        "model": "m",
        "messages": HELLO,
        "temperature": 0,
        "min_p": 0.1,
        "stop": ["a", "b"],
        "logit_bias": {"5": 1},
        "x_new": "y",
    }


def test_what_the_limit_is_called() -> None:
    wanted = asked(HELLO, model="m", parameters={"max_tokens": 9})
    newer = provider("http://localhost/v1", token_limit="max_completion_tokens", access=ALL)
    assert openai.DIALECT.speak(_local(), wanted).body["max_tokens"] == 9
    body = openai.DIALECT.speak(newer, wanted).body
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    assert anthropic.DIALECT.speak(newer, wanted).body["max_tokens"] == 9


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "no message"),
        ([{"role": "boss", "content": "x"}], "boss"),
        ([{"role": "user"}], "no content"),
        ([{"role": "user", "content": 5}], "no content"),
        ([{"role": "user", "content": "\ud800"}], "surrogate"),
    ],
)
def test_messages_that_cannot_be_sent(messages: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        encoded(openai.DIALECT.speak(_local(), asked(messages, model="m")).body)


@pytest.mark.parametrize(
    "tools", ["search", [1], [{"type": "mcp", "server_url": "http://evil"}], [{"type": "function"}]]
)
def test_tools_that_are_refused(tools: Any) -> None:
    with pytest.raises(UsageError, match="tool"):
        asked(HELLO, model="m", tools=tools)


def _turns(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = anthropic.DIALECT.speak(_local(), asked(messages, model="m", **options)).body
    return found


def test_anthropics_conversation_takes_turns() -> None:
    call_ = {"id": "c1", "function": {"name": "look", "arguments": '{"q": 1}'}}
    body = _turns(
        {"role": "system", "content": "A"},
        {"role": "user", "content": "one"},
        {"role": "developer", "content": "B"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": None, "tool_calls": [call_]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "user", "content": "so?"},
    )
    assert body["system"] == "A\n\nB"
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"q": 1}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "found"},
                {"type": "text", "text": "so?"},
            ],
        },
    ]


def test_a_prompt_that_is_all_system_is_the_users_turn() -> None:
    body = _turns({"role": "system", "content": "Summarise this."})
    assert (body.get("system"), body["messages"]) == (None, [{"role": "user", "content": "Summarise this."}])


def test_a_tools_answer_must_say_to_which_call() -> None:
    with pytest.raises(UsageError, match="to which call"):
        _turns({"role": "tool", "content": "found"})


def test_anthropics_words_for_tools_and_output() -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "description": "d"}}
    body = _turns(
        *HELLO,
        tools=[tool],
        output={"type": "object"},
        parameters={"tool_choice": "required", "parallel_tool_calls": False, "user": "u1"},
    )
    assert body["tools"] == [{"name": "look", "description": "d", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert body["metadata"] == {"user_id": "u1"}
    assert "parallel_tool_calls" not in body


def test_openais_words_for_output() -> None:
    body = openai.DIALECT.speak(_local(), asked(HELLO, model="m", output={"type": "object"})).body
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    assert body["response_format"] == wanted


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "3"}, 3),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40),
        ({"retry-after": "Wed, 31 Dec 1969 00:00:00 GMT"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "\u0661"}, 0),
        ({"retry-after": "9" * 400}, 0),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert asked_to_wait(headers, 60.0) == seconds


def test_waiting_grows_to_a_limit_and_varies() -> None:
    retries = Retries(first=1.0, longest=5.0)
    for attempt, least, most in [(1, 0.75, 1.25), (2, 1.5, 2.5), (3, 3.0, 5.0), (9, 3.75, 6.25), (999, 3.75, 6.25)]:
        waits = {delay_before(attempt, retries) for _ in range(20)}
        assert all(least <= wait <= most for wait in waits)
        assert len(waits) > 1
    assert delay_before(1, retries, 30.0) == 30.0


@pytest.mark.parametrize(
    ("status", "again"),
    [(200, False), (400, False), (401, False), (408, False), (429, True), (500, True), (501, False), (503, True)],
)
def test_what_is_worth_another_try(status: int, again: bool) -> None:
    assert is_transient(status, Refusal(), {}) is again
    assert not is_transient(status, Refusal(), {"x-should-retry": "false"})


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8")), min_size=1, max_size=5), st.data())
def test_events_do_not_depend_on_how_they_are_cut(texts: list[str], data: st.DataObject) -> None:
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    body = "".join(f": note{end}event: x{end}data: {text}{end}{end}" for text in texts).encode()
    events, found = Events(), list[str]()
    while body:
        size = data.draw(st.integers(1, len(body)))
        found += events.feed(body[:size])
        body = body[size:]
    assert [*found, *events.feed(b"")] == texts


def test_events_of_several_lines_and_without_an_end() -> None:
    events = Events()
    assert list(events.feed(b"\xef\xbb\xbfdata: a\ndata:b\n\nid: 3\n\ndata: c")) == ["a\nb"]
    assert list(events.feed(b"")) == ["c"]


def test_addresses_that_are_one_place() -> None:
    assert origin_of("https://Host.example./a") == origin_of("https://host.example:443/b")
    with pytest.raises(KitpackError):
        origin_of("javascript:alert(1)")


def _local() -> Provider:
    return provider("http://localhost/v1", access=ALL)
