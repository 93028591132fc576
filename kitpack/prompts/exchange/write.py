"""Prompts as files of kitpack's own: front matter and messages, or a chat file where those cannot hold the text.

Equal prompts give equal bytes, and reading such a file gives the prompt back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kitpack.document.emit import emit
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.exchange.handlebars import handlebars_to_jinja, optional_names
from kitpack.prompts.exchange.notation import braces_to_jinja, text_to_jinja
from kitpack.prompts.exchange.shape import Draft, Imported, Notation, distinct, file_stem
from kitpack.prompts.prompt import ROLES, Prompt

__all__ = ["draft_of", "imported", "jinja_messages", "short_schema", "write_draft", "write_prompt"]

_MARKER = re.compile(rf"(?:{'|'.join(ROLES)}):[ \t]*")
_EVEN_EMPTY = frozenset({"variables", "output", "tools"})  # to have none is not to say nothing about them
_ORDER = (
    "description",
    "version",
    "role",
    "format",
    "model",
    "parameters",
    "variables",
    "output",
    "tools",
    "untrusted",
    "sensitive",
    "must_contain",
    "filters",
    "changelog",
    "metadata",
)


def write_prompt(prompt: Prompt) -> tuple[str, bytes]:
    """Write a prompt as a file of kitpack's own.

    Templates of other tools' notations become Jinja. Texts that the prompt takes in are files of their own.

    Returns:
        The suffix for the name of the file, and its bytes. Reading them under a name with this suffix gives the same
        prompt, but for the path, the digest and the lines.

    Raises:
        PromptError: When a template of another tool's notation has no equal in Jinja.
    """
    return write_draft(draft_of(prompt))


def draft_of(prompt: Prompt) -> Draft:
    """What there is to write about a prompt."""
    notation: Notation = prompt.format if prompt.format in ("text", "braces") else "jinja"
    keys: JsonObject = {
        "description": prompt.description,
        "version": prompt.version,
        "model": prompt.model,
        "parameters": prompt.parameters,
        "variables": short_schema(prompt.variables) if prompt.declared else None,
        "output": prompt.output,
        "tools": prompt.tools,
        "untrusted": [*sorted(prompt.untrusted)],
        "sensitive": [*sorted(prompt.sensitive)],
        "must_contain": [*prompt.must_contain],
        "filters": {name: text or None for name, text in prompt.filters.items()},
        "changelog": prompt.changelog,
        "metadata": prompt.metadata,
    }
    messages = [(one.role, one.template) for one in prompt.messages]
    if prompt.format == "dotprompt":
        optional = optional_names(prompt.variables)
        messages = [(role, handlebars_to_jinja(text, prompt.path, optional=optional)) for role, text in messages]
    return Draft(name=prompt.name, messages=tuple(messages), notation=notation, keys=keys)


def imported(drafts: Sequence[Draft], notes: Sequence[str], others: Sequence[tuple[str, bytes]] = ()) -> Imported:
    """Give drafts their files.

    Args:
        drafts: The prompts. Of those with the same name, the later ones get a number.
        notes: What is to be known about them.
        others: The files they take in.
    """
    names = list(distinct(draft.name for draft in drafts))
    stems = distinct([*(path.rpartition(".")[0] for path, _ in others), *map(file_stem, names)])
    paths = list(stems)[len(others) :]
    renamed = [f"there is more than one {one.name!r}: the next one is called {name!r}" for one, name in
               zip(drafts, names, strict=True) if one.name != name]  # fmt: skip
    files = []
    for draft, name, stem in zip(drafts, names, paths, strict=True):
        suffix, raw = write_draft(Draft(name=name, messages=draft.messages, notation=draft.notation, keys=draft.keys))
        files.append((stem + suffix, raw))
    prompts = tuple(path for path, _ in files)
    return Imported(files=(*others, *files), prompts=prompts, notes=(*notes, *renamed))


def write_draft(draft: Draft) -> tuple[str, bytes]:
    """Write a draft: the suffix for the name of its file, and its bytes."""
    extra: JsonObject = {} if draft.notation == "jinja" else {"format": draft.notation}
    role, text = draft.messages[0]
    if len(draft.messages) == 1 and _stands_alone(text):
        extra.update({} if role == "system" else {"role": role})
        return ".md", f"---\n{emit(_front(draft, extra))}---\n{text}".encode()
    if len(draft.messages) > 1 and all(_stands_below_marker(text) for _, text in draft.messages):
        body = "\n\n".join(f"{role}:\n{text}" for role, text in draft.messages)
        return ".md", f"---\n{emit(_front(draft, extra))}---\n{body}\n".encode()
    return ".yaml", _chat(draft)


def short_schema(schema: JsonObject) -> Json:
    """The schema of variables in the shortest way an author would write it: names, their types, or all of it."""
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list) or not _is_ordinary(schema):
        return schema
    implied = [name for name, one in properties.items() if not (isinstance(one, dict) and "default" in one)]
    if required != implied:
        return schema
    return {**properties} if any(properties.values()) or not properties else [*properties]


def _is_ordinary(schema: JsonObject) -> bool:
    known = {"type": "object", "additionalProperties": False}
    return all(key in ("properties", "required") or known.get(key) == value for key, value in schema.items())


def _front(draft: Draft, extra: JsonObject) -> JsonObject:
    keys = {**draft.keys, **extra}
    order = sorted(keys, key=lambda key: _ORDER.index(key) if key in _ORDER else len(_ORDER))
    said = {key: keys[key] for key in order if keys[key] or (key in _EVEN_EMPTY and keys[key] is not None)}
    return {"name": draft.name, **said}


def _chat(draft: Draft) -> bytes:
    """A file that holds any text as it is: there is nothing in it that text could be mistaken for."""
    messages: list[Json] = [{"role": role, "content": text} for role, text in jinja_messages(draft)]
    return emit({**_front(draft, {}), "messages": messages}).encode()


def jinja_messages(draft: Draft) -> tuple[tuple[str, str], ...]:
    """The messages of a draft in Jinja, whatever they are written in."""
    if draft.notation == "jinja":
        return draft.messages
    change = text_to_jinja if draft.notation == "text" else braces_to_jinja
    return tuple((role, change(text)) for role, text in draft.messages)


def _stands_alone(text: str) -> bool:
    """Whether it can be all that follows the front matter: its first line says something, and names no role."""
    first = text.split("\n", 1)[0]
    return bool(first.strip(" \t")) and "\r" not in text and not _MARKER.fullmatch(first)


def _stands_below_marker(text: str) -> bool:
    """Whether it can follow the name of its role: nothing around it that would be trimmed, no role in it."""
    lines = text.split("\n")
    whole = bool(lines[0].strip(" \t")) and text == text.rstrip() and "\r" not in text
    return whole and not any(map(_MARKER.fullmatch, lines))
