"""The words with which an author says what a prompt is, wherever they stand: front matter, a chat file, the Kitfile."""

from __future__ import annotations

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.prompt import FORMATS, ROLES

__all__ = ["KEYS", "MESSAGE", "PARAMETERS", "object_of", "text_of", "texts_of"]

_TEXT: JsonObject = {"type": "string"}
_WORD: JsonObject = {"type": "string", "maxLength": 256}
_NAMES: JsonObject = {"type": "array", "items": {"type": "string", "minLength": 1}}
_MAPPING: JsonObject = {"type": "object"}

KEYS: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f]*$"},
        "description": _TEXT,
        "version": _WORD,
        "role": {"type": "string", "enum": list[Json](ROLES)},
        "format": {"type": "string", "enum": list[Json](FORMATS)},
        "model": _WORD,
        "parameters": _MAPPING,
        "variables": {"type": ["object", "array"], "items": {"type": "string", "minLength": 1}},
        "output": _MAPPING,
        "tools": {"type": ["array", "object"]},
        "untrusted": _NAMES,
        "sensitive": _NAMES,
        "must_contain": _NAMES,
        "filters": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        "changelog": _TEXT,
        "metadata": _MAPPING,
    },
}
"""A JSON Schema of the front matter."""

MESSAGE: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["role", "content"],
    "properties": {
        "role": {"type": "string", "enum": list[Json](ROLES)},
        "content": {"type": "string", "contentMediaType": "text/plain"},
    },
}
"""A JSON Schema of one message of a chat file."""

PARAMETERS = {
    "maxOutputTokens": "max_tokens",
    "maxTokens": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
}
"""How other formats spell the sampling parameters that every provider has."""


def text_of(value: Json) -> str:
    """The value when it is text, else an empty string."""
    return value if isinstance(value, str) else ""


def texts_of(value: Json) -> tuple[str, ...]:
    """The texts in a list; none when it is something else."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def object_of(value: Json) -> JsonObject:
    """The value when it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
