"""A prompt as a value, whatever file it was written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["FORMATS", "ROLES", "Format", "Include", "Message", "Prompt"]

ROLES = ("system", "developer", "user", "assistant", "tool")
"""Who can be speaking in a message."""

Format: TypeAlias = Literal["text", "jinja", "braces", "prompty", "dotprompt", "chat"]
"""How a template is written. It is declared, or follows from the name of the file; the text is never asked."""

FORMATS: tuple[Format, ...] = ("text", "jinja", "braces", "prompty", "dotprompt", "chat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a prompt, which is rendered by itself: no value can end it, or begin another.

    Attributes:
        role: One of :data:`ROLES`.
        template: Its text with the places for values, in the notation of the prompt's format.
        line: The line of the file on which the template starts, counted from 1.
    """

    role: str
    template: str
    line: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Include:
    """A text that a prompt takes in.

    Attributes:
        path: Its path in the bundle.
        digest: Of its exact bytes: another text makes another prompt.
        text: What it says.
    """

    path: str
    digest: Digest
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt: what is said to a model, what it is filled with, and what it was tuned for.

    Attributes:
        name: How applications ask for it; unique in a bundle.
        path: Its file in the bundle, with forward slashes.
        format: How its template is written.
        digest: Of the exact bytes of its file.
        messages: What is said, in order; at least one.
        description: What it is for.
        version: Its own version, exactly as written; empty when only the bundle has one.
        changelog: Why it differs from the version before.
        model: The model it is tuned for: a name, a glob, ``bundle`` for the packed one, or empty.
        parameters: Sampling parameters it is tuned for, such as ``temperature`` and ``max_tokens``.
        variables: A JSON Schema of the object it is filled with: ``properties``, ``required``. Undeclared prompts have
            the variables that their templates use, all required.
        declared: Whether the author wrote the variables down; else they were found in the template.
        output: A JSON Schema of the answer; None when the author says nothing about it.
        tools: Definitions of the tools a model may call, as written.
        untrusted: The names of variables whose values users control.
        sensitive: The names of variables whose values are never recorded.
        must_contain: Texts that every version of it has to say.
        filters: Filters of its own: a name and the format string for one value, or an empty string where the
            application has to bring the function.
        includes: The texts it takes in, by path.
        metadata: Whatever else the author says about it: tags, authors.
        lines: The line of each key of its front matter, so that a fault can be shown where it is.
        source: The text of the file.
    """

    name: str
    path: str
    format: Format
    digest: Digest
    messages: tuple[Message, ...]
    description: str = ""
    version: str = ""
    changelog: str = ""
    model: str = ""
    parameters: JsonObject = field(default_factory=dict, hash=False)
    variables: JsonObject = field(default_factory=dict, hash=False)
    declared: bool = False
    output: JsonObject | None = field(default=None, hash=False)
    tools: Json = field(default=None, hash=False)
    untrusted: frozenset[str] = frozenset()
    sensitive: frozenset[str] = frozenset()
    must_contain: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict, hash=False)
    includes: Mapping[str, Include] = field(default_factory=dict, hash=False)
    metadata: JsonObject = field(default_factory=dict, hash=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    source: str = field(default="", compare=False, repr=False)
