"""Prompts as a folder of dotprompt's files.

Spec: https://google.github.io/dotprompt/reference/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from kitpack.document.emit import emit
from kitpack.errors import Issue, PromptError
from kitpack.oci.jsontext import JsonObject
from kitpack.prompts.exchange.handlebars_export import jinja_to_handlebars
from kitpack.prompts.exchange.losses import lost_space, unsaid
from kitpack.prompts.exchange.shape import Draft, Exported, distinct, file_stem
from kitpack.prompts.exchange.write import draft_of, jinja_messages
from kitpack.prompts.includes import resolve
from kitpack.prompts.keys import PARAMETERS, object_of
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.variables import required_of

__all__ = ["export_dotprompt"]

_CONFIG = {ours: theirs for theirs, ours in PARAMETERS.items() if theirs != "maxTokens"}
_ROLES = {"assistant": "model", "developer": "system"}
_OURS = ("changelog", "untrusted", "sensitive", "must_contain")
_SAID = frozenset(["description", "version", "model", "parameters", "variables", "output", "tools", "metadata", *_OURS])


def export_dotprompt(prompts: Sequence[Prompt]) -> Exported:
    """Write a ``.prompt`` file for each prompt, and one for each text that they take in.

    Raises:
        PromptError: With everything that Handlebars cannot say, of all prompts.
    """
    notes: list[str] = []
    issues: list[Issue] = []
    files: list[tuple[str, bytes]] = []
    partials = _partial_names(prompts)
    for prompt, stem in zip(prompts, distinct(file_stem(prompt.name) for prompt in prompts), strict=True):
        try:
            files.append((f"{stem}.prompt", _file(prompt, partials, notes)))
        except PromptError as error:
            issues += error.issues
    texts = {one.path: one.text for prompt in prompts for one in prompt.includes.values()}
    for path, text in sorted(texts.items()):
        try:
            files.append((f"_{partials[path]}.prompt", _translated(text, path, partials).encode()))
        except PromptError as error:
            issues += error.issues
    if issues:
        raise PromptError(issues)
    return Exported(files=tuple(files), notes=tuple(notes))


def _partial_names(prompts: Sequence[Prompt]) -> dict[str, str]:
    """What each text that is taken in is called as a partial."""
    paths = sorted({path for prompt in prompts for path in prompt.includes})
    return dict(zip(paths, distinct(file_stem(PurePosixPath(path).stem) for path in paths), strict=True))


def _translated(template: str, path: str, partials: dict[str, str], line: int = 1) -> str:
    return jinja_to_handlebars(
        template, path, include=lambda written: partials.get(resolve(path, written), written), line=line
    )


def _file(prompt: Prompt, partials: dict[str, str], notes: list[str]) -> bytes:
    draft = draft_of(prompt)
    notes += unsaid(draft, _SAID, "dotprompt")
    front = _front(prompt, draft, notes)
    lines = [message.line for message in prompt.messages]
    texts = [
        (role, _translated(text, prompt.path, partials, line))
        for (role, text), line in zip(jinja_messages(draft), lines, strict=True)
    ]
    if any(role == "developer" for role, _ in texts):
        notes.append(f"{prompt.name}: dotprompt has no developer; the system says it")
    notes += lost_space(prompt.name, texts, "dotprompt")
    body = "\n\n".join(f'{{{{role "{_ROLES.get(role, role)}"}}}}\n{text}' for role, text in texts)
    return f"---\n{emit(front)}---\n{body}\n".encode()


def _front(prompt: Prompt, draft: Draft, notes: list[str]) -> JsonObject:
    metadata = dict(prompt.metadata)
    variant = metadata.get("variant")
    suffix = f".{variant}" if isinstance(variant, str) else ""
    name = prompt.name.removesuffix(suffix) if suffix else prompt.name
    if name != prompt.name:
        del metadata["variant"]
    if prompt.tools is not None and not isinstance(prompt.tools, list):
        notes.append(f"{prompt.name}: dotprompt has no place for tools that are no list; left out")
    config: JsonObject = {_CONFIG.get(key, key): value for key, value in prompt.parameters.items()}
    front: JsonObject = {
        "name": name,
        "variant": variant if name != prompt.name else None,
        "version": prompt.version,
        "description": prompt.description,
        "model": prompt.model,
        "config": config,
        "input": _input(prompt.variables) if prompt.declared else None,
        "output": None if prompt.output is None else {"format": "json", "schema": _whole(prompt.output)},
        "tools": prompt.tools if isinstance(prompt.tools, list) else None,
        "metadata": metadata,
        **{f"kitpack.{key}": draft.keys.get(key) for key in _OURS},
    }
    return {key: value for key, value in front.items() if value}


def _input(schema: JsonObject) -> JsonObject:
    """The schema of the variables, with their defaults where dotprompt looks for them."""
    properties, must = object_of(schema.get("properties")), required_of(schema)
    moved = [name for name, one in properties.items() if "default" in object_of(one) and name not in must]
    defaults: JsonObject = {name: object_of(properties[name])["default"] for name in moved}
    bare: JsonObject = {
        name: {key: value for key, value in object_of(one).items() if key != "default"} if name in moved else one
        for name, one in properties.items()
    }
    return {**({"default": defaults} if defaults else {}), "schema": _whole({**schema, "properties": bare})}


def _whole(schema: JsonObject) -> JsonObject:
    """The schema with its type first: without one, dotprompt takes it for its own short form."""
    return {"type": "object", **schema}
