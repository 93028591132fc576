"""Prompty's files, read into kitpack's own and written from them.

Prompty allows no keys but its own, so what only kitpack knows stands under ``metadata.kitpack``, and is found there
again.

Spec: https://prompty.ai
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from kitpack.document.emit import emit
from kitpack.document.faults import Faults, Kind, decoded, with_one_break
from kitpack.errors import Issue, PromptError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.exchange.inline import inlined
from kitpack.prompts.exchange.losses import lost_space
from kitpack.prompts.exchange.read import read_tree
from kitpack.prompts.exchange.shape import Draft, Exported, Imported, distinct, file_stem
from kitpack.prompts.exchange.write import draft_of, imported, jinja_messages
from kitpack.prompts.formats.prompty import read_prompty
from kitpack.prompts.frontmatter import split
from kitpack.prompts.keys import PARAMETERS, object_of
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.variables import required_of

__all__ = ["export_prompty", "import_prompty"]

_SUFFIX = ".prompty"
_KIND = Kind(noun="a prompt")
_OWN = ("changelog", "untrusted", "sensitive", "must_contain", "filters")
_OURS = (*_OWN, "variables", "output", "metadata")
_KINDS = {"string": "string", "integer": "integer", "number": "float", "boolean": "boolean", "array": "array",
          "object": "object"}  # fmt: skip
_OPTIONS = {ours: theirs for theirs, ours in PARAMETERS.items() if theirs != "maxTokens"}
_ENTRY = frozenset({"type", "description", "default", "enum", "examples"})
_MODEL = frozenset({"id", "provider", "apiType", "api", "options", "parameters"})


def import_prompty(files: Mapping[str, bytes]) -> Imported:
    """Read every ``.prompty`` file.

    Args:
        files: The files of a folder by path; others are not looked at.

    Raises:
        PromptError: With every fault of every file; or when there is none.
    """
    paths = sorted(path for path in files if path.endswith(_SUFFIX))
    notes: list[str] = []
    issues: list[Issue] = []
    drafts = []
    for path in paths:
        try:
            drafts.append(_draft(path, files[path], notes))
        except PromptError as error:
            issues += error.issues
    if not paths:
        issues.append(Issue(path=".", message="there is no .prompty file", hint="name the file, or its folder"))
    if issues:
        raise PromptError(issues)
    return imported(drafts, notes)


def _draft(path: str, raw: bytes, notes: list[str]) -> Draft:
    faults = Faults(path)
    text = with_one_break(decoded(raw, _KIND, faults) or "")
    written = read_prompty(text, faults)
    if not written.messages:
        faults.add(0, 0, "it says nothing below its front matter", "write the prompt there")
    if faults.issues:
        raise PromptError(faults.ordered())
    keys = dict(written.said.data)
    name = keys.pop("name", None) or PurePosixPath(path).stem
    notes += [f"{path}: {note}" for note in _left_out(text, path)]
    messages = tuple((one.role, one.template) for one in written.messages)
    return Draft(name=str(name), messages=messages, keys=_restored(keys))


def _restored(keys: JsonObject) -> JsonObject:
    """The keys, with those that were kept under ``metadata.kitpack`` in their places."""
    metadata = dict(object_of(keys.get("metadata")))
    kept = object_of(metadata.pop("kitpack", None))
    own = {key: kept[key] for key in _OURS if key in kept}
    more = object_of(own.pop("metadata", None))
    return {**keys, **own, "metadata": {**metadata, **more}}


def _left_out(text: str, path: str) -> list[str]:
    """What a file says to the program that calls the model: addresses and keys have no place in a prompt."""
    front = split(text)[0]
    data = object_of(read_tree(front, path)) if front else {}
    model = object_of(data.get("model"))
    configuration = object_of(model.get("configuration"))
    left = [f"model.{key}" for key in model if key not in _MODEL | {"configuration"}]
    named = {"name"} if "name" in configuration else {"azure_deployment"}
    left += [f"model.configuration.{key}" for key in configuration if key not in named or model.get("id")]
    return [f"{', '.join(left)} belong to the application, and are left out"] if left else []


def export_prompty(prompts: Sequence[Prompt]) -> Exported:
    """Write a ``.prompty`` file for each prompt.

    Raises:
        PromptError: When a template has no equal in Jinja.
    """
    notes: list[str] = []
    stems = distinct(file_stem(prompt.name) for prompt in prompts)
    files = tuple((stem + _SUFFIX, _file(prompt, notes)) for stem, prompt in zip(stems, prompts, strict=True))
    return Exported(files=files, notes=tuple(notes))


def _file(prompt: Prompt, notes: list[str]) -> bytes:
    draft = draft_of(inlined(prompt, notes))
    metadata = dict(prompt.metadata)
    own: JsonObject = {key: draft.keys[key] for key in _OWN if draft.keys.get(key)}
    variables = prompt.variables if prompt.declared else None
    inputs, outputs = _entries(variables, closed=True), _entries(prompt.output, closed=False)
    if variables is not None and inputs is None:
        own["variables"] = variables
        notes.append(f"{prompt.name}: inputs cannot say all that the variables do; see metadata.kitpack.variables")
    if prompt.output is not None and outputs is None:
        own["output"] = prompt.output
        notes.append(f"{prompt.name}: outputs cannot say all that the output does; see metadata.kitpack.output")
    if own:
        notes.append(f"{prompt.name}: prompty has no place for {', '.join(own)}; kept under metadata.kitpack")
    lifted = {key: metadata.pop(key) for key in ("provider", "apiType") if isinstance(metadata.get(key), str)}
    options: JsonObject = {_OPTIONS.get(key, key): value for key, value in prompt.parameters.items()}
    facts: JsonObject = {"version": prompt.version, **metadata, "kitpack": own}
    model: JsonObject = {"id": prompt.model, **lifted, "options": options}
    front: JsonObject = {
        "name": prompt.name,
        "displayName": metadata.pop("displayName", None),
        "description": prompt.description,
        "metadata": {key: value for key, value in facts.items() if value or key in prompt.metadata},
        "model": {key: value for key, value in model.items() if value},
        "inputs": inputs,
        "outputs": outputs,
        "tools": prompt.tools,
        "template": {"format": {"kind": "jinja2"}, "parser": {"kind": "prompty"}},
    }
    said: JsonObject = {
        key: value for key, value in front.items() if value or (key in ("inputs", "outputs") and value is not None)
    }
    notes += lost_space(prompt.name, jinja_messages(draft), "prompty")
    messages = [(role, re.sub(r"\r\n?", "\n", text)) for role, text in jinja_messages(draft)]
    body = "\n\n".join(f"{role}:\n{text}" for role, text in messages)
    _check_roles(prompt, messages, body)
    return f"---\n{emit(said)}---\n{body}\n".encode()


def _check_roles(prompt: Prompt, messages: Sequence[tuple[str, str]], body: str) -> None:
    """Make sure that no line of a message is taken for the start of another one.

    Raises:
        PromptError: When one would be.
    """
    told = [(one.role, one.template.strip()) for one in read_prompty(body, Faults(prompt.path)).messages]
    if told != [(role, text.strip()) for role, text in messages]:
        message = "a line of its text looks like the start of a message in prompty"
        raise PromptError([Issue(path=prompt.path, message=message, hint="write more than a role on that line")])


def _entries(schema: JsonObject | None, *, closed: bool) -> JsonObject | None:
    """Inputs or outputs that say exactly what a schema does; None when they cannot.

    Args:
        schema: The schema.
        closed: Whether it may say that there is nothing else, which goes without saying for variables.
    """
    known: JsonObject = {"type": "object", **({"additionalProperties": False} if closed else {})}
    if schema is None or any(known.get(key) != schema[key] for key in schema.keys() - {"properties", "required"}):
        return None
    properties, must = object_of(schema.get("properties")), required_of(schema)
    if schema.get("required") != [name for name in properties if name in must]:
        return None
    result: JsonObject = {}
    for name, one in properties.items():
        entry = _entry(one)
        if entry is None or (name in must and "default" in entry):
            return None
        result[name] = entry if name in must or "default" in entry else {**entry, "required": False}
    return result


def _entry(schema: Json) -> JsonObject | None:
    if not isinstance(schema, dict) or schema.keys() - _ENTRY:
        return None
    kind, examples = schema.get("type"), schema.get("examples")
    if (kind is not None and not (isinstance(kind, str) and kind in _KINDS)) or "kind" in schema:
        return None
    if examples is not None and (not isinstance(examples, list) or len(examples) != 1):
        return None
    entry: JsonObject = {"kind": _KINDS[str(kind)]} if kind else {}
    entry.update((key, schema[key]) for key in ("description", "default") if key in schema)
    entry.update({"enumValues": schema["enum"]} if "enum" in schema else {})
    entry.update({"example": examples[0]} if examples else {})
    return entry
