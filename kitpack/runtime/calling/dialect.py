"""What the two APIs have in common: what a client must know of each, and how to read JSON of strangers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.runtime.calling.asking import Asked
from kitpack.runtime.calling.provider import Provider
from kitpack.runtime.calling.reply import Chunk, FinishReason, Reply, ToolCall

__all__ = [
    "Assembly",
    "Dialect",
    "Spoken",
    "first_of",
    "load_object",
    "mended",
    "number_in",
    "object_in",
    "objects_in",
    "piece_in",
    "reason_of",
    "text_in",
    "tool_call",
]


class Assembly(Protocol):
    """A stream that adds up to an answer of the shape that is not streamed."""

    @property
    def answer(self) -> JsonObject:
        """What arrived so far."""

    @property
    def complete(self) -> bool:
        """Whether the model has finished, as far as the events say."""

    @property
    def ended(self) -> bool:
        """Whether no event can follow."""

    def add(self, event: JsonObject) -> Chunk:
        """Take in an event, and return the text in it, which may be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What is asked, in the words of one API.

    Attributes:
        body: The request.
        ignored: Parameters that the API has no word for.
    """

    body: JsonObject
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One API.

    Attributes:
        path: What is added to the address of an endpoint.
        headers: The headers that carry the key, and what else the API wants.
        speak: Puts what is asked into its words.
        read: Reads an answer; None when the object is none.
        assembly: Begins to put a stream together.
    """

    path: str
    headers: Callable[[Provider], dict[str, str]]
    speak: Callable[[Provider, Asked], Spoken]
    read: Callable[[JsonObject], Reply | None]
    assembly: Callable[[], Assembly]


def load_object(text: str | bytes) -> JsonObject | None:
    """The JSON object that a text is, or None.

    Less strict than what is asked of registries: no key depends on it, and models and their servers write what they do.
    """
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_in(place: JsonObject, *names: str) -> str:
    """The first text among these fields, or an empty one, without halves of surrogate pairs."""
    return mended(piece_in(place, *names))


def piece_in(place: JsonObject, *names: str) -> str:
    """The first text among these fields, or an empty one; half of a pair stays, its other half may be in the next."""
    return next((value for name in names if isinstance(value := place.get(name), str) and value), "")


def mended(text: str) -> str:
    """The text with its surrogate pairs joined, and what has no other half replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def object_in(place: JsonObject, name: str) -> JsonObject:
    """The object in a field, or an empty one."""
    value = place.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(place: JsonObject, name: str) -> list[JsonObject]:
    """The objects of the list in a field; what is none is passed over."""
    value = place.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def number_in(place: JsonObject, *names: str) -> int | None:
    """The first count among these fields, or None."""
    for name in names:
        value = place.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def first_of(items: list[JsonObject]) -> JsonObject:
    """The first object, or an empty one."""
    return items[0] if items else {}


def reason_of(raw: str, known: dict[str, FinishReason]) -> FinishReason:
    """The reason for stopping in common words."""
    return known.get(raw, "other") if raw else "unknown"


def tool_call(call_id: str, name: str, arguments: Json) -> ToolCall:
    """A call, whether its arguments come as an object or as the text of one."""
    if isinstance(arguments, dict):
        return ToolCall(id=call_id, name=name, arguments=arguments, text=json.dumps(arguments, ensure_ascii=False))
    text = arguments if isinstance(arguments, str) else ""
    return ToolCall(id=call_id, name=name, arguments=load_object(text) or {}, text=text)
