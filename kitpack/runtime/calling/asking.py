"""What is asked, before it is put into the words of one API: messages, parameters, tools.

Parameters come from prompts, and so from whoever made the bundle. Numbers, words and lists of them are the settings of
a sampler: each API has its own and gets new ones often, so those pass through under the names they have. Whatever could
change who is asked, what is said or where the answer goes is refused: names that belong to the call itself, and
structured values but for a few that are known to be harmless (a connection to a foreign tool server is structured).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, cast

from kitpack.errors import UsageError
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["Asked", "Speech", "asked", "encoded"]

_ROLES = ("system", "developer", "user", "assistant", "tool")
_TAKEN = {
    "model": "name the model where the prompt is called, or in the prompt's own `model`",
    "messages": "the prompt is what is said",
    "input": "the prompt is what is said",
    "prompt": "the prompt is what is said",
    "system": "a message of the role system is what is said first",
    "stream": "whoever calls says whether the answer is streamed",
    "stream_options": "whoever calls says whether the answer is streamed",
    "tools": "tools stand in the prompt's own `tools`",
    "functions": "tools stand in the prompt's own `tools`",
    "models": "one model is asked",
    "store": "whether an endpoint keeps the answer is not for a prompt to say",
    "background": "an answer is waited for",
    **dict.fromkeys(
        ("api_base", "api_key", "base_url", "endpoint", "headers", "extra_headers", "extra_body", "extra_query"),
        "who is asked is said where the prompt is called, never in a prompt",
    ),
}
_STRUCTURED = frozenset(
    {"chat_template_kwargs", "logit_bias", "metadata", "reasoning", "response_format", "stop", "thinking"}
    | {"tool_choice", "output_config", "grammar", "json_schema", "guided_json", "options"}
)


class _Speech(Protocol):
    @property
    def role(self) -> str: ...

    @property
    def content(self) -> str: ...


Speech: TypeAlias = "_Speech | Mapping[str, Json]"
"""A message: a value with ``role`` and ``content``, or an object as chat APIs take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked, checked, in OpenAI's shape.

    Attributes:
        model: The model to ask.
        messages: What is said: objects with ``role``, ``content`` and whatever else stood in them.
        parameters: Sampling parameters.
        tools: The tools a model may call, each as ``{"type": "function", "function": {…}}``, or of a type of its own.
        output: A JSON Schema that the endpoint is asked to keep to; None for free text.
        stream: Whether the answer is sent in pieces.
    """

    model: str
    messages: tuple[JsonObject, ...]
    parameters: JsonObject = field(default_factory=dict)
    tools: tuple[JsonObject, ...] = ()
    output: JsonObject | None = None
    stream: bool = False


def asked(
    messages: Sequence[Speech],
    *,
    model: str,
    parameters: Mapping[str, Json] | None = None,
    tools: Json = None,
    output: JsonObject | None = None,
    stream: bool = False,
) -> Asked:
    """Check what is to be asked.

    Raises:
        UsageError: When there is no message or no model, or something in it cannot be sent.
    """
    if not model.strip():
        raise UsageError("no model is named", hint="say which model to ask: model=, or --model")
    if not messages:
        raise UsageError("there is no message to send")
    found = tuple(_message(one, number) for number, one in enumerate(messages, 1))
    return Asked(
        model=model,
        messages=found,
        parameters=_checked(parameters or {}),
        tools=_tools(tools),
        output=output,
        stream=stream,
    )


def encoded(body: Mapping[str, Json]) -> bytes:
    """The body of a request.

    Raises:
        UsageError: When it holds what JSON cannot say: not a number, infinity, half of a surrogate pair.
    """
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        reason = "half of a surrogate pair" if isinstance(error, UnicodeEncodeError) else str(error)[:200]
        raise UsageError(f"what is asked cannot be written as JSON: {reason}") from None


def _message(one: Speech, number: int) -> JsonObject:
    said = dict(one) if isinstance(one, Mapping) else {"role": one.role, "content": one.content}
    role, content = said.get("role"), said.get("content")
    if role not in _ROLES:
        raise UsageError(f"message {number} is by {str(role)[:40]!r}; expected one of {', '.join(_ROLES)}")
    if not isinstance(content, str | list) and not (content is None and said.get("tool_calls")):
        raise UsageError(f"message {number} has no content: expected a text, or a list of parts")
    return cast("JsonObject", said)


def _checked(parameters: Mapping[str, Json]) -> JsonObject:
    refused = [f"{name} ({_TAKEN[name]})" for name in parameters if name in _TAKEN]
    refused += [
        f"{name} (a structured value that kitpack does not know)"
        for name, value in parameters.items()
        if name not in _TAKEN and name not in _STRUCTURED and not _is_plain(value)
    ]
    if parameters.get("n", 1) not in {1, None}:
        refused.append("n (one answer is returned)")
    if refused:
        raise UsageError(
            f"parameters that are not sent: {', '.join(refused)}", hint="take them out of the prompt's `parameters`"
        )
    return {name: value for name, value in parameters.items() if value is not None}


def _is_plain(value: Json) -> bool:
    if isinstance(value, list):
        return not any(isinstance(one, list | dict) for one in value)
    return not isinstance(value, dict)


def _tools(tools: Json) -> tuple[JsonObject, ...]:
    if tools is None:
        return ()
    if not isinstance(tools, list) or not all(isinstance(one, dict) for one in tools):
        raise UsageError("tools: expected a list of definitions", hint="- name: search\n  parameters: {type: object}")
    return tuple(_tool(one, number) for number, one in enumerate(tools, 1) if isinstance(one, dict))


def _tool(tool: JsonObject, number: int) -> JsonObject:
    """A definition in OpenAI's shape, from that, from Anthropic's, or from the bare function."""
    inner = tool.get("function")
    function = dict(inner) if isinstance(inner, dict) else {key: one for key, one in tool.items() if key != "type"}
    if tool.get("type", "function") not in {"function", "custom"} or not isinstance(function.get("name"), str):
        raise UsageError(
            f"tool {number} is not a function with a name",
            hint="tools that an endpoint runs itself, or fetches from elsewhere, are not for a prompt to add",
        )
    schema = function.pop("input_schema", None)
    if schema is not None:
        function.setdefault("parameters", schema)
    return {"type": "function", "function": function}
