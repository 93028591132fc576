"""OpenAI's chat completions, as OpenAI, DeepSeek, llama.cpp, vLLM, Ollama and many others serve them.

Reference: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.runtime.calling.asking import Asked
from kitpack.runtime.calling.dialect import (
    Dialect,
    Spoken,
    first_of,
    number_in,
    object_in,
    objects_in,
    piece_in,
    reason_of,
    text_in,
    tool_call,
)
from kitpack.runtime.calling.provider import Provider
from kitpack.runtime.calling.reply import Chunk, FinishReason, Reply, ToolCall, Usage

__all__ = ["DIALECT"]

_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_OTHER_NAMES = {"stop_sequences": "stop", "max_output_tokens": "max_tokens"}
_MOST_CALLS = 128


class _Assembly:
    """Deltas of the first choice, added up to a message."""

    def __init__(self) -> None:
        self._top: JsonObject = {}
        self._role = "assistant"
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, str]] = {}
        self._reason = ""

    @property
    def complete(self) -> bool:
        return bool(self._reason)

    @property
    def ended(self) -> bool:
        return False  # tokens are told after the model has finished; the stream says itself when that is done

    @property
    def answer(self) -> JsonObject:
        message: JsonObject = {"role": "assistant", "content": None}
        message.update({name: "".join(pieces) for name, pieces in self._texts.items()})
        calls: list[Json] = [
            {"id": one["id"], "type": "function", "function": {"name": one["name"], "arguments": one["arguments"]}}
            for _, one in sorted(self._calls.items())
        ]
        if calls:
            message["tool_calls"] = calls
        choice: JsonObject = {"index": 0, "message": message, "finish_reason": self._reason or None}
        return {**self._top, "choices": [choice]}

    def add(self, event: JsonObject) -> Chunk:
        kept = ("id", "created", "model", "usage", "system_fingerprint", "service_tier")
        self._top.update({name: event[name] for name in kept if event.get(name)})
        choice = next((one for one in objects_in(event, "choices") if one.get("index", 0) == 0), {})
        self._reason = text_in(choice, "finish_reason") or self._reason
        delta = object_in(choice, "delta")
        for call in objects_in(delta, "tool_calls"):
            self._add_call(call)
        found = {
            "content": piece_in(delta, "content") or _content(delta),
            "reasoning_content": piece_in(delta, "reasoning_content", "reasoning"),
            "refusal": piece_in(delta, "refusal"),
        }
        for name, text in found.items():
            if text:
                self._texts.setdefault(name, []).append(text)
        return Chunk(text=found["content"], reasoning=found["reasoning_content"])

    def _add_call(self, call: JsonObject) -> None:
        """Add a piece of a call. Some servers leave the number out: a new id is a new call then."""
        number = number_in(call, "index")
        if number is None:
            number = len(self._calls) if call.get("id") else max(len(self._calls) - 1, 0)
        if len(self._calls) >= _MOST_CALLS and number not in self._calls:
            return
        known = self._calls.setdefault(number, {"id": "", "name": "", "arguments": ""})
        function = object_in(call, "function")
        known["id"] = known["id"] or text_in(call, "id")
        known["name"] = known["name"] or text_in(function, "name")
        known["arguments"] += piece_in(function, "arguments")


def _headers(provider: Provider) -> dict[str, str]:
    return {"Authorization": f"Bearer {provider.key.text}"} if provider.key else {}


def _speak(provider: Provider, asked: Asked) -> Spoken:
    parameters = {_OTHER_NAMES.get(name, name): value for name, value in asked.parameters.items()}
    if "max_tokens" in parameters:
        parameters[provider.token_limit] = parameters.pop("max_tokens")
    body: JsonObject = {"model": asked.model, "messages": list(asked.messages), **parameters}
    if asked.tools:
        body["tools"] = list(asked.tools)
    if asked.output is not None:
        wanted: JsonObject = {"name": "answer", "schema": asked.output}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if asked.stream:
        body.update({"stream": True, "stream_options": {"include_usage": True}})
    return Spoken(body=body)


def _read(raw: JsonObject) -> Reply | None:
    choice = first_of(objects_in(raw, "choices"))
    message = object_in(choice, "message")
    if not message:
        return None
    reason = text_in(choice, "finish_reason")
    return Reply(
        text=_content(message),
        reasoning=_reasoning(message),
        refusal=text_in(message, "refusal"),
        model=text_in(raw, "model"),
        finish_reason=reason_of(reason, _REASONS),
        raw_finish_reason=reason,
        usage=_usage(object_in(raw, "usage")),
        tool_calls=_calls(message),
        id=text_in(raw, "id"),
        raw=raw,
    )


def _content(place: JsonObject) -> str:
    """The text of a message, which some servers send in parts."""
    parts = objects_in(place, "content")
    return "".join(text_in(part, "text") for part in parts) if parts else text_in(place, "content")


def _reasoning(place: JsonObject) -> str:
    return text_in(place, "reasoning_content", "reasoning")


def _usage(found: JsonObject) -> Usage:
    read, written = object_in(found, "prompt_tokens_details"), object_in(found, "completion_tokens_details")
    cached = number_in(read, "cached_tokens")
    return Usage(
        input=number_in(found, "prompt_tokens"),
        output=number_in(found, "completion_tokens"),
        cached=number_in(found, "prompt_cache_hit_tokens") if cached is None else cached,
        reasoning=number_in(written, "reasoning_tokens"),
    )


def _calls(message: JsonObject) -> tuple[ToolCall, ...]:
    found = [
        tool_call(text_in(one, "id"), text_in(function, "name"), function.get("arguments"))
        for one in objects_in(message, "tool_calls")
        if (function := object_in(one, "function"))
    ]
    if not found and (old := object_in(message, "function_call")):
        found.append(tool_call("", text_in(old, "name"), old.get("arguments")))
    return tuple(found)


DIALECT = Dialect(path="/chat/completions", headers=_headers, speak=_speak, read=_read, assembly=_Assembly)
