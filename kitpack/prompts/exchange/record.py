"""Release records of prompts: JSON objects with the names that the field's release checklists use for a prompt.

A record holds ``prompt_id``, ``version``, ``model``, ``template`` or ``messages``, ``variables``, ``rollback_to``, and
what a release adds to them: evaluator results, the rollout, who made it and when. What kitpack knows and no record has
a word for stands under ``x-kitpack``, where other readers pass over it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kitpack.errors import Issue, PromptError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.exchange.inline import inlined
from kitpack.prompts.exchange.read import read_json
from kitpack.prompts.exchange.shape import Draft, Exported, Imported, Notation, distinct, file_stem
from kitpack.prompts.exchange.write import draft_of, imported, short_schema
from kitpack.prompts.prompt import ROLES, Prompt

__all__ = ["export_records", "import_records"]

_FACTS = (
    "model_digest",
    "author",
    "created_at",
    "evaluator_results",
    "rollout",
    "rollback_to",
    "status",
    "tokens",
    "tags",
)
"""What is said about the release of a prompt, not about the prompt; it is kept as metadata."""

_KEYS = {"output_schema": "output", "params": "parameters", "changelog": "changelog", "model": "model"}
_OWN = "x-kitpack"
_OWN_KEYS = ("description", "tools", "filters", "untrusted", "sensitive", "must_contain")
_RECORD_DIGEST = "record_digest"
_KNOWN = frozenset({"prompt_id", "version", "digest", "template", "messages", "variables", _OWN, *_KEYS, *_FACTS})
_NOTATIONS: tuple[Notation, ...] = ("jinja", "text", "braces")

_Message: TypeAlias = "tuple[str, str]"


class _Faults:
    """The faults of one file of records."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.issues: list[Issue] = []

    def add(self, message: str, hint: str = "") -> None:
        self.issues.append(Issue(path=self.path, message=message, hint=hint))


def import_records(files: Mapping[str, bytes]) -> Imported:
    """Read files of one record each, or of a list of them.

    Where several versions of one prompt are among them, the active one is called as the prompt is, or else the last.
    The others are called by name and version.

    Args:
        files: The JSON files by path.

    Raises:
        PromptError: With everything that makes them no records.
    """
    issues: list[Issue] = []
    notes: list[str] = []
    drafts: list[Draft] = []
    for path, raw in files.items():
        faults = _Faults(path)
        try:
            for number, record in enumerate(_records(raw, faults), 1):
                drafts.append(_draft(record, f"record {number}", faults, notes))
        except PromptError as error:
            issues += error.issues
        issues += faults.issues
    if issues:
        raise PromptError(issues)
    return imported(_named_apart(drafts, notes), notes)


def export_records(prompts: Sequence[Prompt]) -> Exported:
    """Write a record for each prompt: files of one record each.

    Raises:
        PromptError: When a template has no equal in Jinja.
    """
    notes: list[str] = []
    stems = distinct(file_stem(prompt.name) for prompt in prompts)
    files = tuple(
        (f"{stem}.json", _written(_record(prompt, notes))) for stem, prompt in zip(stems, prompts, strict=True)
    )
    return Exported(files=files, notes=tuple(notes))


def _written(record: JsonObject) -> bytes:
    return (json.dumps(record, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


def _records(raw: bytes, faults: _Faults) -> list[JsonObject]:
    found = read_json(raw, faults.path)
    records = found if isinstance(found, list) else [found]
    if not records:
        faults.add("the list of records is empty", "a record is an object with prompt_id and template")
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict):
            faults.add(f"record {number} is no object", "a record is an object with prompt_id and template")
    return [record for record in records if isinstance(record, dict)]


def _draft(record: JsonObject, place: str, faults: _Faults, notes: list[str]) -> Draft:
    name = record.get("prompt_id")
    if not isinstance(name, str) or not name.strip():
        faults.add(f"{place} has no prompt_id", 'it is the name of the prompt: "prompt_id": "support-triage"')
        name = place
    version = record.get("version", "")
    if not isinstance(version, str | int) or isinstance(version, bool):
        faults.add(f"{place}: the version is neither text nor a whole number", 'write "version": "2026-03-15.3"')
    own = record.get(_OWN, {})
    own = own if isinstance(own, dict) else {}
    keys: JsonObject = {"version": str(version), "variables": _variables(record, place, faults)}
    keys.update((key, record[word]) for word, key in _KEYS.items() if record.get(word) is not None)
    keys.update((key, own[key]) for key in _OWN_KEYS if key in own)
    keys["metadata"] = _metadata(record, own, name, notes)
    draft = Draft(name=name, messages=_messages(record, place, faults), notation=_notation(own), keys=keys)
    return _doubted(draft, notes)


def _notation(own: JsonObject) -> Notation:
    return next((one for one in _NOTATIONS if one == own.get("format")), "jinja")


def _messages(record: JsonObject, place: str, faults: _Faults) -> tuple[_Message, ...]:
    template, messages = record.get("template"), record.get("messages")
    if isinstance(template, str) and messages is None:
        return (("system", template),)
    if template is not None or not isinstance(messages, list) or not messages:
        faults.add(f"{place} has neither a template nor messages, or both", 'write "template": "..." with its text')
        return ()
    found = []
    for number, one in enumerate(messages, 1):
        role, content = (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)
        if isinstance(role, str) and role in ROLES and isinstance(content, str):
            found.append((role, content))
        else:
            faults.add(f"{place}: message {number} is not {{role, content}}", f"roles: {', '.join(ROLES)}")
    return tuple(found)


def _variables(record: JsonObject, place: str, faults: _Faults) -> Json:
    found = record.get("variables")
    if not (found is None or isinstance(found, dict) or _is_names(found)):
        faults.add(f"{place}: variables are neither a list of names nor a JSON Schema", 'write ["ticket_body"]')
    return found


def _is_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _metadata(record: JsonObject, own: JsonObject, name: str, notes: list[str]) -> JsonObject:
    """What is kept of the record besides the prompt; a note for each thing that nobody expects there."""
    kept = own.get("metadata", {})
    result: JsonObject = {**kept} if isinstance(kept, dict) else {}
    result.update((key, record[key]) for key in _FACTS if record.get(key) is not None)
    for key in record.keys() - _KNOWN:
        result[key] = record[key]
    unknown = sorted(record.keys() - _KNOWN)
    if unknown:
        notes.append(f"{name}: kept as metadata, though no record has such a field: {', '.join(unknown)}")
    if record.get("digest") is not None:
        result[_RECORD_DIGEST] = record["digest"]
        notes.append(f"{name}: the digest is that of another file, so it is kept as metadata.{_RECORD_DIGEST}")
    return result


def _doubted(draft: Draft, notes: list[str]) -> Draft:
    """Say so when a template looks as if it were written in another notation than records are read in."""
    declared = draft.value("variables")
    names = [name for name in declared if isinstance(name, str)] if isinstance(declared, list | dict) else []
    texts = [text for _, text in draft.messages if "{{" not in text]
    found = sorted({name for name in names for text in texts if f"{{{name}}}" in text})
    if found and draft.notation == "jinja":
        shown = ", ".join(f"{{{name}}}" for name in found)
        notes.append(f"{draft.name}: {shown} are plain characters in Jinja; if values go there, add `format: braces`")
    return draft


def _named_apart(drafts: Sequence[Draft], notes: list[str]) -> list[Draft]:
    result = []
    for number, draft in enumerate(drafts):
        same = [other for other in drafts if other.name == draft.name]
        active = [one for one in same if (data := one.value("metadata")) and isinstance(data, dict)
                  and data.get("status") == "active"]  # fmt: skip
        chosen = active[0] if len(active) == 1 else same[-1]
        if draft is chosen or len(same) == 1:
            result.append(draft)
            continue
        name = f"{draft.name}_v{draft.value('version') or number + 1}"
        notes.append(
            f"{draft.name}: version {chosen.value('version')} has this name, {draft.value('version')} is {name}"
        )
        result.append(Draft(name=name, messages=draft.messages, notation=draft.notation, keys=draft.keys))
    return result


def _record(prompt: Prompt, notes: list[str]) -> JsonObject:
    draft = draft_of(inlined(prompt, notes))
    facts = {key: value for key, value in prompt.metadata.items() if key in _FACTS}
    others = {key: value for key, value in prompt.metadata.items() if key not in (*_FACTS, _RECORD_DIGEST)}
    own: JsonObject = {key: draft.keys[key] for key in _OWN_KEYS if draft.keys.get(key)}
    own.update({"metadata": others} if others else {})
    own.update({"format": draft.notation} if draft.notation != "jinja" else {})
    if own:
        notes.append(f"{prompt.name}: a record has no field for {', '.join(own)}; kitpack finds it under {_OWN}")
    single = len(draft.messages) == 1 and draft.messages[0][0] == "system"
    short = short_schema(prompt.variables)
    said: JsonObject = {
        "prompt_id": prompt.name,
        "version": prompt.version,
        "digest": str(prompt.digest),
        "model": prompt.model,
        "template": draft.messages[0][1] if single else None,
        "messages": None if single else [{"role": role, "content": text} for role, text in draft.messages],
        "variables": (short if isinstance(short, list) else prompt.variables) if prompt.declared else None,
        "output_schema": prompt.output,
        "params": prompt.parameters,
        "changelog": prompt.changelog,
        **facts,
        _OWN: own,
    }
    required = ("prompt_id", "version", "model")
    return {key: said[key] for key in said if said[key] or key in required or (key == "variables" and prompt.declared)}
