"""The prompts of a bundle with all that is known about them, for people who look at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from kitpack.artifact.bundle import ARCHIVE_LIMIT, Bundle, Text
from kitpack.artifact.inspecting.prompts import bundle_prompts
from kitpack.artifact.inspecting.tokenizer import find_counter
from kitpack.content.remembering import Remembering
from kitpack.errors import Issue
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.fingerprint import fingerprint
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.tokens import Count, Counter, count_prompt

__all__ = ["DescribedPrompt", "DescribedPrompts", "Variable", "describe_prompts", "variables_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """Something a prompt is filled with.

    Attributes:
        name: What it is called.
        type: What it can be, in words: ``string``, ``"free" | "gold"``, ``list of string``.
        required: Whether callers must give it.
        default: What it is when they do not, as JSON; empty when there is no such value.
        description: What it is for.
        untrusted: Whether users control its value.
        sensitive: Whether its value is never recorded.
    """

    name: str
    type: str
    required: bool
    default: str
    description: str
    untrusted: bool
    sensitive: bool

    def __str__(self) -> str:
        about = f" ({self.description})" if self.description else ""
        return ", ".join([f"{self.name}: {self.type}", *self.notes]) + about

    @property
    def notes(self) -> tuple[str, ...]:
        """What callers have to know besides: whether they may leave it out, and whose value it is."""
        optional = f"optional, {self.default} by default" if self.default else "optional"
        flags = ("" if self.required else optional, "untrusted" * self.untrusted, "sensitive" * self.sensitive)
        return tuple(filter(None, flags))


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedPrompt:
    """A prompt, or a file that should be one.

    Attributes:
        path: Its file.
        size: The bytes of its file.
        text: The whole text of its file; None when it is too long or no text.
        prompt: What it says; None when it is part of others, or has faults.
        variables: What it is filled with.
        tokens: How long it is; None when it is not a prompt.
        fingerprint: The digest of all that decides what it makes of values; empty when it is not a prompt.
    """

    path: str
    size: int
    text: str | None
    prompt: Prompt | None = None
    variables: tuple[Variable, ...] = ()
    tokens: Count | None = None
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """What applications call it; empty when it is not a prompt."""
        return self.prompt.name if self.prompt else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedPrompts:
    """The prompts of a bundle.

    Attributes:
        found: All files that are or should be prompts, in the manifest's order.
        faults: What is wrong with some of them.
    """

    found: tuple[DescribedPrompt, ...]
    faults: tuple[Issue, ...]


def describe_prompts(bundle: Bundle, *, jobs: int = 4) -> DescribedPrompts:
    """Read and describe every prompt of a bundle, fetching nothing else but what they include.

    Args:
        bundle: The bundle, wherever it is.
        jobs: Layers fetched at the same time.

    Raises:
        NotFoundError, IntegrityError: When a layer is missing or damaged.
    """
    known = {bundle.descriptor.digest: bundle.manifest.raw}
    kitfile = bundle.kitfile.encode()  # whoever looks at the bundle reads it anyway, and once is enough
    known[Digest.of_bytes(kitfile)] = kitfile
    source = Remembering(bundle.source, known, ARCHIVE_LIMIT)
    source.fetch_ahead((layer.descriptor for layer in bundle.layers if layer.role == "prompt"), jobs)
    again = Bundle(source, bundle.descriptor)
    prompts = bundle_prompts(again, jobs=1)
    by_path = {prompt.path: prompt for prompt in prompts.found}
    counter = find_counter(bundle) if by_path else None
    found = tuple(_described(text, by_path.get(text.path), counter) for text in again.prompts())
    return DescribedPrompts(found=found, faults=prompts.faults)


def _described(text: Text, prompt: Prompt | None, counter: Counter | None) -> DescribedPrompt:
    if prompt is None or counter is None:
        return DescribedPrompt(path=text.path, size=text.size, text=text.text)
    return DescribedPrompt(
        path=text.path,
        size=text.size,
        text=text.text,
        prompt=prompt,
        variables=tuple(variables_of(prompt)),
        tokens=count_prompt(prompt, counter),
        fingerprint=str(fingerprint(prompt)),
    )


def variables_of(prompt: Prompt) -> Iterator[Variable]:
    """What a prompt is filled with, in the order of its author."""
    required = prompt.variables.get("required")
    for name, shape in _object(prompt.variables.get("properties")).items():
        schema = _object(shape)
        yield Variable(
            name=name,
            type=_type(schema),
            required=isinstance(required, list) and name in required,
            default=json.dumps(schema["default"], ensure_ascii=False) if "default" in schema else "",
            description=str(schema.get("description", "")),
            untrusted=name in prompt.untrusted,
            sensitive=name in prompt.sensitive,
        )


def _type(schema: JsonObject) -> str:
    """What a value can be, in a few words."""
    choices = schema.get("enum")
    if isinstance(choices, list):
        return " | ".join(json.dumps(one, ensure_ascii=False) for one in choices)
    kind = schema.get("type", "anything")
    if kind == "array":
        items = _object(schema.get("items"))
        return f"list of {_type(items)}" if items else "list"
    return " | ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
