"""Anthropic's messages.

What differs from the other API: a limit of the answer's length must be given; the system's words stand beside the
conversation; the conversation takes turns between user and assistant, and tools answer in the user's turn.

Reference: https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from kitpack.errors import UsageError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.runtime.calling.asking import Asked
from kitpack.runtime.calling.dialect import (
    Dialect,
    Spoken,
    load_object,
    number_in,
    object_in,
    objects_in,
    piece_in,
    reason_of,
    text_in,
    tool_call,
)
from kitpack.runtime.calling.provider import Provider
from kitpack.runtime.calling.reply import Chunk, FinishReason, Reply, Usage

__all__ = ["DEFAULT_MAX_TOKENS", "DIALECT"]

DEFAULT_MAX_TOKENS = 4096
"""The limit of the answer's length where the prompt sets none; every model of the API can write as much."""

_VERSION = "2023-06-01"
_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_UNKNOWN_HERE = frozenset(
    {"seed", "n", "presence_penalty", "frequency_penalty", "repetition_penalty", "repeat_penalty", "min_p", "best_of"}
    | {
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "response_format",
        "reasoning_effort",
        "verbosity",
        "parallel_tool_calls",
    }
)
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}


class _Assembly:
    """Blocks that begin, grow and end, added up to a message."""

    def __init__(self) -> None:
        self._message: JsonObject = {}
        self._blocks: dict[int, JsonObject] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}
        self.ended = False

    @property
    def complete(self) -> bool:
        return bool(self._message.get("stop_reason"))

    @property
    def answer(self) -> JsonObject:
        blocks = {number: dict(block) for number, block in sorted(self._blocks.items())}
        for (number, name), pieces in self._texts.items():
            blocks[number][name] = text_in(blocks[number], name) + "".join(pieces)
        for block in blocks.values():
            if "partial" in block:
                block["input"] = load_object(text_in(block, "partial")) or {}
        return {**self._message, "content": list(blocks.values())}

    def add(self, event: JsonObject) -> Chunk:
        kind, number = event.get("type"), number_in(event, "index") or 0
        if kind == "message_start":
            self._message.update(object_in(event, "message"))
        elif kind == "content_block_start":
            block = self._blocks[number] = dict(object_in(event, "content_block"))
            return Chunk(text=text_in(block, "text"), reasoning=text_in(block, "thinking"))
        elif kind == "content_block_delta":
            return self._grow(number, object_in(event, "delta"))
        elif kind == "message_delta":
            self._message.update(object_in(event, "delta"))
            self._message["usage"] = {**object_in(self._message, "usage"), **object_in(event, "usage")}
        elif kind == "message_stop":
            self.ended = True
        return Chunk()

    def _grow(self, number: int, delta: JsonObject) -> Chunk:
        self._blocks.setdefault(number, {"type": "text"})
        for name, kept in (("text", "text"), ("thinking", "thinking"), ("partial_json", "partial")):
            if piece := piece_in(delta, name):
                self._texts.setdefault((number, kept), []).append(piece)
                self._blocks[number].setdefault(kept, "")
        return Chunk(text=piece_in(delta, "text"), reasoning=piece_in(delta, "thinking"))


def _headers(provider: Provider) -> dict[str, str]:
    key = {"x-api-key": provider.key.text} if provider.key else {}
    return {"anthropic-version": _VERSION, **key}


def _speak(provider: Provider, asked: Asked) -> Spoken:  # noqa: ARG001 - the other API needs it
    parameters = dict(asked.parameters)
    limits = [limit for name in _LIMITS if (limit := parameters.pop(name, None)) is not None]
    system, turns = _turns(asked.messages)
    body: JsonObject = {
        "model": asked.model,
        "max_tokens": limits[0] if limits else DEFAULT_MAX_TOKENS,
        **({"system": system} if system else {}),
        "messages": turns,
    }
    choice = _choice(parameters.pop("tool_choice", None), parameters.get("parallel_tool_calls"))
    if asked.tools:
        body["tools"] = [_tool(one) for one in asked.tools]
        body.update({"tool_choice": choice} if choice else {})
    if asked.output is not None:
        wanted: JsonObject = {"type": "json_schema", "schema": asked.output}
        body["output_config"] = {**object_in(parameters, "output_config"), "format": wanted}
    if asked.stream:
        body["stream"] = True
    ignored = tuple(name for name in parameters if name in _UNKNOWN_HERE)
    body.update({name: value for name, value in _renamed(parameters).items() if name not in {*ignored, *body}})
    return Spoken(
        body=body, ignored=tuple(one for one in ignored if not (asked.tools and one == "parallel_tool_calls"))
    )


def _renamed(parameters: JsonObject) -> JsonObject:
    found = dict(parameters)
    stop = found.pop("stop", None)
    if stop is not None:
        found["stop_sequences"] = stop if isinstance(stop, list) else [stop]
    user = found.pop("user", None)
    if user is not None:
        found["metadata"] = {**object_in(found, "metadata"), "user_id": user}
    return found


def _turns(messages: tuple[JsonObject, ...]) -> tuple[str, list[Json]]:
    """The system's words, and the conversation in turns.

    What system and developer say goes beside the conversation, wherever it stood. Where nobody else says anything,
    it is the user's turn: a conversation cannot be empty.
    """
    system = [_text(one) for one in messages if one["role"] in {"system", "developer"}]
    said = [_turn(one, number) for number, one in enumerate(messages, 1) if one["role"] not in {"system", "developer"}]
    if not said:
        return "", [{"role": "user", "content": "\n\n".join(system)}]
    turns: list[JsonObject] = []
    for turn in said:
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1] = {"role": turn["role"], "content": [*_parts(turns[-1]), *_parts(turn)]}
        else:
            turns.append(turn)
    return "\n\n".join(system), [*turns]


def _turn(message: JsonObject, number: int) -> JsonObject:
    content = message.get("content")
    if message["role"] == "tool":
        answered = text_in(message, "tool_call_id", "tool_use_id")
        if not answered:
            raise UsageError(
                f"message {number} is a tool's answer, and does not say to which call",
                hint="this API needs its tool_call_id",
            )
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": answered, "content": content}]}
    calls = objects_in(message, "tool_calls") if message["role"] == "assistant" else []
    if calls:
        return {"role": "assistant", "content": [*_parts(message), *map(_use, calls)]}
    return {"role": message["role"], "content": content}


def _use(call: JsonObject) -> JsonObject:
    function = object_in(call, "function")
    found = tool_call(text_in(call, "id"), text_in(function, "name"), function.get("arguments"))
    return {"type": "tool_use", "id": found.id, "name": found.name, "input": found.arguments}


def _parts(message: JsonObject) -> list[Json]:
    content = message.get("content")
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _text(message: JsonObject) -> str:
    return "\n".join(text_in(part, "text") for part in _parts(message) if isinstance(part, dict))


def _tool(tool: JsonObject) -> JsonObject:
    function = object_in(tool, "function")
    kept: JsonObject = {name: function[name] for name in ("name", "description", "strict") if name in function}
    return {**kept, "input_schema": function.get("parameters", {"type": "object", "properties": {}})}


def _choice(choice: Json, parallel: Json) -> JsonObject:
    """The choice of a tool in this API's words; what is already in them stays."""
    found: JsonObject = {}
    if isinstance(choice, str):
        found = {"type": _CHOICES.get(choice, choice)}
    elif isinstance(choice, dict):
        function = object_in(choice, "function")
        found = {"type": "tool", "name": function.get("name")} if function else dict(choice)
    if parallel is False:
        found = {"type": "auto", **found, "disable_parallel_tool_use": True}
    return found


def _read(raw: JsonObject) -> Reply | None:
    if not isinstance(raw.get("content"), list):
        return None
    blocks, reason = objects_in(raw, "content"), text_in(raw, "stop_reason")
    return Reply(
        text="".join(text_in(one, "text") for one in blocks if one.get("type") == "text"),
        reasoning="".join(text_in(one, "thinking") for one in blocks if one.get("type") == "thinking"),
        model=text_in(raw, "model"),
        finish_reason=reason_of(reason, _REASONS),
        raw_finish_reason=reason,
        usage=_usage(object_in(raw, "usage")),
        tool_calls=tuple(
            tool_call(text_in(one, "id"), text_in(one, "name"), one.get("input"))
            for one in blocks
            if one.get("type") == "tool_use"
        ),
        id=text_in(raw, "id"),
        raw=raw,
    )


def _usage(found: JsonObject) -> Usage:
    """Tokens. This API counts what came from a cache, or went there, apart from the rest of the input."""
    fresh = number_in(found, "input_tokens")
    cached, stored = number_in(found, "cache_read_input_tokens"), number_in(found, "cache_creation_input_tokens")
    return Usage(
        input=None if fresh is None else fresh + (cached or 0) + (stored or 0),
        output=number_in(found, "output_tokens"),
        cached=cached,
        cache_written=stored,
        reasoning=number_in(object_in(found, "output_tokens_details"), "thinking_tokens", "reasoning_tokens"),
    )


DIALECT = Dialect(path="/v1/messages", headers=_headers, speak=_speak, read=_read, assembly=_Assembly)
