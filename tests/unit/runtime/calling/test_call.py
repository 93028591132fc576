"""Answers, whole and in pieces, from a real server; and everything that can come instead of one."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import shutil
import ssl
import subprocess
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitpack.errors import ModelAuthError, ModelBusyError, ModelError, UsageError
from kitpack.runtime.calling.call import acall, call, stream
from kitpack.runtime.calling.provider import Retries, Timeouts, provider
from kitpack.runtime.calling.reply import Usage
from kitpack.runtime.calling.wire import AsyncConnections, Connections
from kitpack.settings import ModelAccess
from tests.support.model_server import Answer, ModelServer, claude, claude_stream, gpt, gpt_stream, model_server
from tests.support.registry import refused_port
from tests.unit.runtime.calling.conftest import KEY, NOTHING, Way, at

HELLO = [{"role": "user", "content": "Hi"}]


def test_an_answer_of_openais_api(models: ModelServer, whole: Way) -> None:
    models.says(gpt("Grüße 🎉", model="test-1-2025-08-07"))
    reply = whole(at(models), HELLO, model="test-1", parameters={"temperature": 0.2, "stop": "END"})
    assert (reply.text, reply.finish_reason, reply.truncated, reply.model_mismatch) == ("Grüße 🎉", "stop", False, "")
    assert (reply.model, reply.requested, reply.id, reply.provider) == (
        "test-1-2025-08-07", "test-1", "chatcmpl-1", "127.0.0.1",
    )  # fmt: skip
    assert reply.usage == Usage(input=11, output=7, cached=4, reasoning=2)
    assert reply.latency > 0
    [asked] = models.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {"model": "test-1", "messages": HELLO, "temperature": 0.2, "stop": "END"}


def test_an_answer_of_anthropics_api(models: ModelServer, whole: Way) -> None:
    models.says(claude("Guten Tag."))
    said = [{"role": "system", "content": "Be brief."}, *HELLO]
    reply = whole(at(models, "anthropic"), said, model="claude-test-1", parameters={"seed": 7, "stop": "END"})
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("Guten Tag.", "Hm.", "stop")
    assert reply.usage == Usage(input=11, output=7, cached=4, cache_written=2)
    assert reply.ignored == ("seed",)
    [asked] = models.asked
    assert asked.path == "/v1/messages"
    assert (asked.headers["x-api-key"], asked.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in asked.headers
    assert asked.body == {
        "model": "claude-test-1",
        "max_tokens": 4096,
        "system": "Be brief.",
        "messages": HELLO,
        "stop_sequences": ["END"],
    }


def test_a_stream_of_openais_api(models: ModelServer, pieces: Way) -> None:
    models.says(gpt_stream("Grü", "ße ", "🎉"))
    reply = pieces(at(models), HELLO, model="test-1")
    assert (reply.text, reply.finish_reason, reply.id, reply.model) == ("Grüße 🎉", "stop", "chatcmpl-1", "test-1")
    assert reply.usage == Usage(input=11, output=7)
    assert reply.first_chunk is not None
    assert 0 < reply.first_chunk <= reply.latency
    assert models.asked[0].body["stream_options"] == {"include_usage": True}
    assert reply.raw["choices"][0]["message"]["content"] == "Grüße 🎉"  # type: ignore[index, call-overload]


def test_a_stream_of_anthropics_api(models: ModelServer, pieces: Way) -> None:
    models.says(claude_stream("Guten", " Tag", " 🎉", reason="max_tokens"))
    reply = pieces(at(models, "anthropic"), HELLO, model="claude-test-1")
    assert (reply.text, reply.finish_reason, reply.truncated) == ("Guten Tag 🎉", "length", True)
    assert reply.usage == Usage(input=5, output=7)


def test_every_cut_of_the_network_gives_the_same_stream(models: ModelServer) -> None:
    body = b"".join(gpt_stream("Grü", "ße 🎉", "\n\r").pieces).replace(b"\n", b"\r\n")
    for size in (1, 2, 3, 7):
        cut = [body[start : start + size] for start in range(0, len(body), size)]
        models.says(Answer(pieces=cut, content_type="text/event-stream"))
        with Connections() as connections:
            chunks = list(stream(at(models), HELLO, model="test-1", connections=connections))
        assert "".join(chunk.text for chunk in chunks) == "Grüße 🎉\n\r"


def test_half_of_a_character_waits_for_the_other_half(models: ModelServer, pieces: Way) -> None:
    whole = b"".join(gpt_stream("a", "X", "Y", "z").pieces)
    models.says(
        Answer(
            pieces=[whole.replace(b'"X"', b'"b\\ud83c"').replace(b'"Y"', b'"\\udf89"')],
            content_type="text/event-stream",
        )
    )
    assert pieces(at(models), HELLO, model="test-1").text == "ab🎉z"


def test_tools_are_asked_for(models: ModelServer, whole: Way) -> None:
    call_ = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"q": "x"}'}}
    models.says(gpt("", reason="tool_calls", tool_calls=[call_]))
    reply = whole(at(models), HELLO, model="test-1", tools=[{"name": "look", "parameters": {"type": "object"}}])
    assert reply.finish_reason == "tool_calls"
    [found] = reply.tool_calls
    assert (found.id, found.name, found.arguments) == ("c1", "look", {"q": "x"})
    wanted = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    assert models.asked[0].body["tools"] == [wanted]


def test_streamed_tool_calls_are_put_together(models: ModelServer, pieces: Way) -> None:
    def delta(*calls: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps({"choices": [{"delta": {"tool_calls": calls}}]}).encode() + b"\n\n"

    body = [
        delta({"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"q"'}}),
        delta({"index": 1, "id": "c2", "function": {"name": "stop", "arguments": "{}"}}),
        delta({"index": 0, "function": {"arguments": ': "é"}'}}),
        b'data: {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}\n\ndata: [DONE]\n\n',
    ]
    models.says(Answer(pieces=body, content_type="text/event-stream"))
    reply = pieces(at(models), HELLO, model="test-1")
    assert [(one.id, one.name, one.arguments) for one in reply.tool_calls] == [
        ("c1", "look", {"q": "é"}),
        ("c2", "stop", {}),
    ]


def test_anthropics_streamed_tool_calls_are_put_together(models: ModelServer, pieces: Way) -> None:
    def event(**value: Any) -> bytes:
        return b"data: " + json.dumps(value).encode() + b"\n\n"

    body = [
        event(type="message_start", message={"id": "m", "model": "claude-test-1", "content": [], "usage": {}}),
        event(
            type="content_block_start",
            index=0,
            content_block={"type": "tool_use", "id": "t1", "name": "look", "input": {}},
        ),
        event(type="content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": '{"q": '}),
        event(type="content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": '"x"}'}),
        event(type="message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 3}),
        event(type="message_stop"),
    ]
    models.says(Answer(pieces=body, content_type="text/event-stream"))
    reply = pieces(at(models, "anthropic"), HELLO, model="claude-test-1")
    assert reply.finish_reason == "tool_calls"
    assert [(one.id, one.name, one.arguments) for one in reply.tool_calls] == [("t1", "look", {"q": "x"})]


def test_another_model_is_reported(models: ModelServer, ask: Way, caplog: pytest.LogCaptureFixture) -> None:
    models.says(_either(models, "other-2"))
    reply = ask(at(models), HELLO, model="test-1")
    assert reply.model_mismatch == "test-1 was asked for, and other-2 answered"
    assert [record.levelname for record in caplog.records if "other-2" in record.message] == ["WARNING"]


def test_a_model_that_is_not_the_prompts_is_reported(models: ModelServer, whole: Way) -> None:
    models.says(gpt())
    reply = whole(at(models), HELLO, model="test-1", target="gpt-4.*")
    assert reply.model_mismatch == "the prompt is tuned for gpt-4.*, and test-1 answered"


def _either(models: ModelServer, model: str) -> Answer:
    """What a server sends that does not know how to stream: the whole answer, whatever was asked for."""
    return gpt(model=model)


def test_an_answer_that_ends_at_its_limit_is_flagged(
    models: ModelServer, ask: Way, caplog: pytest.LogCaptureFixture
) -> None:
    models.says(gpt("The answer is", reason="length"))
    reply = ask(at(models), HELLO, model="test-1")
    assert (reply.truncated, reply.finish_reason, reply.text) == (True, "length", "The answer is")
    assert "cut off" in caplog.text


BUSY = Answer(status=429, pieces=[b'{"error": {"message": "slow down", "type": "rate_limit_error"}}'])
BROKEN = Answer(status=500, pieces=[b"oops"], content_type="text/plain")


@pytest.mark.parametrize("failures", [[BUSY], [BROKEN], [BUSY, BROKEN], [Answer(status=529, pieces=[b"{}"])]])
def test_what_passes_is_tried_again(models: ModelServer, ask: Way, failures: list[Answer]) -> None:
    models.says(*failures, gpt("At last."))
    reply = ask(at(models), HELLO, model="test-1")
    assert (reply.text, reply.tries) == ("At last.", len(failures) + 1)


def test_tries_are_counted(models: ModelServer, ask: Way) -> None:
    models.says(BUSY)
    with pytest.raises(ModelBusyError, match=r"answered with 429 \(slow down\), 3 times") as caught:
        ask(at(models), HELLO, model="test-1")
    assert (len(models.asked), caught.value.status) == (3, 429)


REFUSALS: list[tuple[Answer, type[ModelError], str]] = [
    (Answer(status=401, pieces=[b'{"error": {"message": "Incorrect API key provided"}}']), ModelAuthError, "Incorrect"),
    (Answer(status=403, pieces=[b'{"error": "forbidden"}']), ModelAuthError, "403 (forbidden)"),
    (Answer(status=400, pieces=[b'{"error": {"message": "too long"}}']), ModelError, "too long"),
    (Answer(status=404, pieces=[b'{"message": "no such model"}']), ModelError, "no such model"),
    (Answer(status=404, pieces=[b"<html>"], content_type="text/html"), ModelError, "a page of HTML"),
    (Answer(status=501, pieces=[b""]), ModelError, "501"),
    (
        Answer(status=429, pieces=[b'{"error": {"message": "quota", "code": "insufficient_quota"}}']),
        ModelError,
        "quota",
    ),
    (Answer(status=503, pieces=[b"{}"], headers={"x-should-retry": "false"}), ModelBusyError, "503"),
    (Answer(status=400, pieces=[b"\x1b[2J\xe2\x80\xaewrong\n" * 9], content_type="text/plain"), ModelError, "wrong"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), REFUSALS)
def test_a_refusal_is_told_once(
    models: ModelServer, ask: Way, answer: Answer, kind: type[ModelError], words: str
) -> None:
    models.says(answer)
    with pytest.raises(ModelError) as caught:
        ask(at(models), HELLO, model="test-1")
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert caught.value.message.isprintable()
    assert len(models.asked) == 1


NO_ANSWERS: list[tuple[Answer, str]] = [
    (Answer(pieces=[b"<!doctype html><p>Sign in"], content_type="text/html"), "a page of HTML"),
    (Answer(pieces=[b'{"choices": []}']), "an answer without a message"),
    (Answer(pieces=[b'{"choices": null, "id": "x"}']), "an answer without a message"),
    (Answer(pieces=[b"[1]"]), "what is not JSON"),
    (Answer(pieces=[b'{"choices": [{"mess']), "broke off"),
    (Answer(pieces=[b'{"choices": [{"mess'], cut=True), "broke off"),
    (Answer(pieces=[b""]), "nothing"),
    (Answer(pieces=[b'{"error": {"message": "provider fell over"}}']), "provider fell over"),
    (Answer(pieces=[gpt().pieces[0]], headers={"Content-Encoding": "gzip"}), "gzip"),
    (Answer(pieces=[b'{"choices": ' + b"[" * 100_000]), "broke off"),
    (Answer(status=0), "did not answer"),
]


@pytest.mark.parametrize(("answer", "words"), NO_ANSWERS)
def test_what_is_no_answer(models: ModelServer, ask: Way, answer: Answer, words: str) -> None:
    models.says(answer)
    with pytest.raises(ModelError, match=words):
        ask(at(models), HELLO, model="test-1")
    assert len(models.asked) == 1


SSE = "text/event-stream"
BROKEN_STREAMS: list[tuple[Answer, str]] = [
    (gpt_stream("Hel", reason=None, done=False), "ended before the model did"),
    (gpt_stream("Hel", reason=None, done=False, cut=True), "broke off"),
    (Answer(pieces=[b'data: {"choices": [{"del'], content_type=SSE), "in the middle of an event"),
    (Answer(pieces=[b"data: what?\n\n"], content_type=SSE), "not JSON"),
    (Answer(pieces=[b'data: {"error": {"message": "out of memory"}}\n\n'], content_type=SSE), "out of memory"),
    (Answer(pieces=[], content_type=SSE), "nothing came"),
    (Answer(pieces=[b"<html>"], content_type="text/html"), "HTML"),
]


@pytest.mark.parametrize(("answer", "words"), BROKEN_STREAMS)
def test_a_stream_that_breaks_is_an_error(models: ModelServer, pieces: Way, answer: Answer, words: str) -> None:
    models.says(answer)
    with pytest.raises(ModelError, match=words):
        pieces(at(models), HELLO, model="test-1")
    assert len(models.asked) == 1


def test_what_came_before_the_break_was_handed_out(models: ModelServer) -> None:
    models.says(gpt_stream("Hel", "lo", reason=None, done=False, cut=True))
    seen: list[str] = []
    with pytest.raises(ModelError, match="broke off"):
        seen.extend(chunk.text for chunk in stream(at(models), HELLO, model="test-1"))
    assert len(models.asked) == 1


def test_an_overloaded_stream_of_anthropics(models: ModelServer, pieces: Way) -> None:
    event = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'
    models.says(Answer(pieces=[event], content_type=SSE))
    with pytest.raises(ModelBusyError, match="Overloaded"):
        pieces(at(models, "anthropic"), HELLO, model="claude-test-1")


@pytest.mark.parametrize("end", [{"done": False}, {"done": True, "reason": None}])
def test_a_stream_may_end_in_either_way(models: ModelServer, pieces: Way, end: dict[str, Any]) -> None:
    models.says(gpt_stream("Hello.", **end))
    assert pieces(at(models), HELLO, model="test-1").text == "Hello."


def test_pieces_arrive_while_the_model_still_speaks(models: ModelServer) -> None:
    more = threading.Event()
    first, *rest = gpt_stream("One", "two").pieces[1:]
    models.says(Answer(pieces=[first, *rest], content_type=SSE, hold=more))
    with closing(stream(at(models), HELLO, model="test-1")) as chunks:
        assert next(chunks).text == "One"
        more.set()
        assert [chunk.text for chunk in chunks] == ["two", ""]


def test_who_stops_early_leaves_nothing_open(models: ModelServer) -> None:
    more = threading.Event()
    models.says(Answer(pieces=gpt_stream("One", "two").pieces[1:], content_type=SSE, hold=more))
    chunks = stream(at(models), HELLO, model="test-1")
    assert next(chunks).text == "One"
    chunks.close()
    more.set()
    del chunks
    gc.collect()


def test_nothing_is_sent_before_the_first_piece_is_wanted(models: ModelServer) -> None:
    models.says(gpt_stream("x"))
    stream(at(models), HELLO, model="test-1").close()
    with pytest.raises(UsageError, match="no model"):
        stream(at(models), HELLO, model="")
    assert models.asked == []


def test_what_is_asked_to_wait_is_waited(models: ModelServer) -> None:
    waits: list[float] = []
    models.says(replace(BUSY, headers={"Retry-After": "7"}), replace(BUSY, headers={"retry-after-ms": "1500"}), gpt())
    with Connections(sleep=waits.append) as connections:
        assert call(at(models), HELLO, model="test-1", connections=connections).tries == 3
    assert waits == [7.0, 1.5]


def test_what_is_asked_to_wait_is_waited_in_a_loop(models: ModelServer) -> None:
    waits: list[float] = []

    async def noted(seconds: float) -> None:
        waits.append(seconds)

    async def asked() -> int:
        async with AsyncConnections(sleep=noted) as connections:
            return (await acall(at(models), HELLO, model="test-1", connections=connections)).tries

    models.says(replace(BUSY, headers={"Retry-After": "7"}), gpt())
    assert (asyncio.run(asked()), waits) == (2, [7.0])


def test_nobody_waits_longer_than_is_sensible(models: ModelServer) -> None:
    models.says(replace(BUSY, headers={"Retry-After": "3600"}), gpt())
    with pytest.raises(ModelBusyError) as caught:
        call(at(models), HELLO, model="test-1")
    assert (caught.value.hint, len(models.asked)) == ("it asks to wait 3600 seconds", 1)
    models.says(replace(BUSY, headers={"Retry-After": "20"}), gpt())
    with pytest.raises(ModelBusyError):  # the wait would end after the call has to
        call(at(models, timeouts=Timeouts(total=10)), HELLO, model="test-1")


def test_a_model_that_says_nothing_is_given_up(models: ModelServer, ask: Way) -> None:
    never = threading.Event()
    models.says(Answer(hold=never))
    with pytest.raises(ModelError, match="nothing came in time"):
        ask(at(models, timeouts=Timeouts(read=0.05)), HELLO, model="test-1")
    never.set()
    assert len(models.asked) == 1


def test_a_model_that_never_ends_is_given_up(models: ModelServer, whole: Way) -> None:
    never = threading.Event()
    models.says(Answer(pieces=[b"{", b"}"], hold=never))
    with pytest.raises(ModelError, match=r"nothing came in time|no whole answer within"):
        whole(at(models, timeouts=Timeouts(total=0.05)), HELLO, model="test-1")
    never.set()


@pytest.mark.parametrize("content_type", ["application/json", SSE])
def test_an_answer_without_end_is_given_up(models: ModelServer, ask: Way, content_type: str) -> None:
    models.says(Answer(pieces=[b"data: " + b"x" * 5000] * 40, content_type=content_type))
    asked = replace(at(models), answer_limit=100_000)
    with pytest.raises(ModelError, match="more than 100000 bytes"):
        ask(asked, HELLO, model="test-1")


def test_a_refusal_without_end_is_cut(models: ModelServer, ask: Way) -> None:
    models.says(Answer(status=400, pieces=[b"x" * 65_536] * 40, content_type="text/plain"))
    with pytest.raises(ModelError, match="400") as caught:
        ask(at(models), HELLO, model="test-1")
    assert len(caught.value.message) < 500


def test_where_nobody_listens_it_is_tried_again(ask: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kitpack")
    nobody = provider(f"http://{refused_port()}/v1", retries=Retries(tries=3, first=0.0), access=NOTHING)
    with pytest.raises(ModelError, match="cannot be reached: Connection refused, 3 times") as caught:
        ask(nobody, HELLO, model="test-1")
    assert "whether the server is running" in caught.value.hint
    assert caplog.text.count("trying again") == 2


def test_a_redirect_in_the_same_place_is_followed(models: ModelServer, ask: Way) -> None:
    models.says(Answer(status=307, headers={"Location": "/v2/chat"}), gpt())
    assert ask(at(models), HELLO, model="test-1").text == "Hello."
    assert [one.path for one in models.asked] == ["/v1/chat/completions", "/v2/chat"]
    assert models.asked[1].body["messages"] == HELLO


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_elsewhere_gets_nothing(models: ModelServer, ask: Way, status: int) -> None:
    with model_server() as elsewhere:
        elsewhere.says(gpt())
        models.says(Answer(status=status, headers={"Location": f"{elsewhere.url}/v1/chat/completions?k=secret"}))
        with pytest.raises(ModelError, match="where nothing is sent") as caught:
            ask(at(models), HELLO, model="test-1")
        assert elsewhere.asked == []
        assert "secret" not in caught.value.message


def test_a_redirect_in_circles_ends(models: ModelServer, whole: Way) -> None:
    models.says(Answer(status=308, headers={"Location": "/v1/chat/completions"}))
    with pytest.raises(ModelError, match="more than 3 redirects"):
        whole(at(models), HELLO, model="test-1")


def test_the_key_is_in_no_message_and_no_log(models: ModelServer, ask: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = at(models, headers={"X-Team": "team-secret-77"})
    models.says(Answer(status=401, pieces=[f"bad key {KEY}, team-secret-77, sk-other-{'9' * 20}".encode()]))
    with pytest.raises(ModelAuthError) as caught:
        ask(asked, HELLO, model="test-1")
    models.says(Answer(status=0))
    with pytest.raises(ModelError) as broken:
        ask(asked, HELLO, model="test-1")
    assert broken.value.__context__ is None
    seen = " ".join([str(caught.value), caught.value.hint, str(broken.value), repr(asked), f"{asked}", caplog.text])
    for secret in (KEY, "team-secret-77", "9" * 20):
        assert secret not in seen
    assert models.asked[0].headers["x-team"] == "team-secret-77"


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


def test_an_endpoint_is_known_by_its_certificate(certificate: tuple[Path, Path], ask: Way) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with model_server(context) as models:
        models.says(gpt())
        with pytest.raises(ModelError, match="certificate verify failed") as caught:
            ask(at(models), HELLO, model="test-1")
        assert "KITPACK_CA_FILE" in caught.value.hint
        assert models.asked == []
        trusting = ModelAccess.from_env({"KITPACK_CA_FILE": str(certificate[0])})
        assert ask(at(models, access=trusting), HELLO, model="test-1").text == "Hello."


def test_a_server_without_tls_is_told_apart(models: ModelServer, ask: Way) -> None:
    models.says(gpt())
    asked = replace(at(models), base_url=f"https://127.0.0.1:{models.port}/v1")
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        ask(asked, HELLO, model="test-1")
    assert "http://" in caught.value.hint


def test_no_proxy_sees_what_stays_on_this_machine(
    models: ModelServer, ask: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{refused_port()}")
    models.says(gpt())
    assert ask(at(models), HELLO, model="test-1").text == "Hello."


def test_connections_stay_open_between_calls(models: ModelServer) -> None:
    models.says(gpt())
    with Connections() as connections:
        for _ in range(3):
            assert call(at(models), HELLO, model="test-1", connections=connections).text == "Hello."
    assert len(models.asked) == 3


def test_it_may_be_called_where_a_loop_runs(models: ModelServer) -> None:
    models.says(gpt())

    async def inside() -> str:
        return call(at(models), HELLO, model="test-1").text

    assert asyncio.run(inside()) == "Hello."


def test_a_cancelled_call_lets_go(models: ModelServer) -> None:
    never = threading.Event()
    models.says(Answer(hold=never))

    async def cancelled() -> None:
        task = asyncio.create_task(acall(at(models), HELLO, model="test-1"))
        await asyncio.to_thread(models.was_asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    never.set()
