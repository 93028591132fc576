"""Folders of dotprompt's files, read into kitpack's own: variants, partials, and what Jinja can say of Handlebars.

Spec: https://google.github.io/dotprompt/reference/
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from kitpack.document.faults import Faults, Kind, decoded, with_one_break
from kitpack.errors import Issue, PromptError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.exchange.handlebars import handlebars_messages, handlebars_to_jinja, optional_names
from kitpack.prompts.exchange.read import read_tree
from kitpack.prompts.exchange.shape import Draft, Imported, file_stem
from kitpack.prompts.exchange.write import imported, short_schema
from kitpack.prompts.formats.dotprompt import read_dotprompt
from kitpack.prompts.frontmatter import split
from kitpack.prompts.keys import object_of

__all__ = ["import_dotprompt", "names_of_path"]

_SUFFIX = ".prompt"
_KIND = Kind(noun="a prompt")


def import_dotprompt(files: Mapping[str, bytes]) -> Imported:
    """Read every ``.prompt`` file: ``name.variant.prompt`` is a variant, ``_name.prompt`` a text that others take in.

    Args:
        files: The files of a folder by path; others are not looked at.

    Raises:
        PromptError: With every fault of every file; or when there is no prompt among them.
    """
    paths = sorted(path for path in files if path.endswith(_SUFFIX))
    partials = {_partial_name(path): path for path in paths if PurePosixPath(path).name.startswith("_")}
    written = {name: f"_{file_stem(name)}.md" for name in partials}
    notes: dict[str, None] = {}
    issues: list[Issue] = []
    drafts: list[Draft] = []
    others: list[tuple[str, bytes]] = []
    for path in paths:
        try:
            if path in partials.values():
                name = _partial_name(path)
                others.append((written[name], _partial(path, files[path], written, notes)))
            else:
                drafts.append(_draft(path, files[path], written, notes))
        except PromptError as error:
            issues += error.issues
    if not drafts and not issues:
        issues.append(Issue(path=".", message="there is no .prompt file", hint="name the folder of the prompts"))
    if issues:
        raise PromptError(issues)
    used = {name for name, _ in others if any(f'"{name}"' in text for text in _texts(drafts, others))}
    notes.update((f"{name}: no prompt takes it in", None) for name, _ in others if name not in used)
    return imported(drafts, tuple(notes), others)


def _texts(drafts: list[Draft], others: list[tuple[str, bytes]]) -> Iterator[str]:
    yield from (text for draft in drafts for _, text in draft.messages)
    yield from (raw.decode() for _, raw in others)


def names_of_path(path: str) -> tuple[str, str]:
    """The name and the variant that a path stands for: of ``greet.formal.prompt``, ``greet`` and ``formal``."""
    stem = path.removesuffix(_SUFFIX)
    folder, name = posixpath.split(stem)
    name, _, variant = name.partition(".")
    return posixpath.join(folder, name), variant


def _partial_name(path: str) -> str:
    folder, name = posixpath.split(path.removesuffix(_SUFFIX))
    return posixpath.join(folder, name.removeprefix("_"))


def _text(path: str, raw: bytes) -> str:
    faults = Faults(path)
    text = decoded(raw, _KIND, faults)
    if text is None:
        raise PromptError(faults.ordered())
    return with_one_break(text)


def _partial(path: str, raw: bytes, partials: Mapping[str, str], notes: dict[str, None]) -> bytes:
    front, body, line = split(_text(path, raw), comments=True)
    if front is not None:
        notes[f"{path}: the front matter of a text that others take in says nothing, and is left out"] = None
    return handlebars_to_jinja(body, path, partial=partials.get, first_line=line).encode()


def _draft(path: str, raw: bytes, partials: Mapping[str, str], notes: dict[str, None]) -> Draft:
    front, body, line = split(_text(path, raw), comments=True)
    keys = _keys(path, front, notes)
    named, variant = names_of_path(path)
    name = str(keys.pop("name", None) or named)
    metadata = dict(object_of(keys.get("metadata")))
    variant = str(metadata.get("variant") or variant)
    if variant:
        metadata["variant"] = variant
        name = name if name.endswith(f".{variant}") else f"{name}.{variant}"
    optional = optional_names(object_of(keys.get("variables")))
    found = handlebars_messages(body, path, optional=optional, partial=partials.get, first_line=line)
    notes.update(dict.fromkeys(found.notes))
    if not found.messages:
        raise PromptError([Issue(path=path, line=line, message="it says nothing", hint="write the prompt there")])
    if "variables" in keys:
        keys["variables"] = _declared(object_of(keys["variables"]), found.names)
    return Draft(name=name, messages=found.messages, keys={**keys, "metadata": metadata})


def _declared(variables: JsonObject, used: frozenset[str]) -> Json:
    """The variables; values by default alone declare none, so the others are those that the template uses."""
    if variables.get("type") == "object":
        return short_schema(variables)
    return {**{name: {} for name in sorted(used)}, **variables}


def _keys(path: str, front: str | None, notes: dict[str, None]) -> JsonObject:
    """What its front matter says, in kitpack's own keys."""
    if front is None:
        return {}
    faults = Faults(path)
    said = read_dotprompt(f"{front}---\n-\n", faults).said
    if faults.issues:
        raise PromptError(faults.ordered())
    data = object_of(read_tree(front, path))
    output = object_of(data.get("output"))
    keys = dict(said.data)
    if "format" in output and "schema" not in output:
        keys["metadata"] = {**object_of(keys.get("metadata")), "outputFormat": output["format"]}
        notes[f"{path}: output.format has no place here, and is kept as metadata.outputFormat"] = None
    if object_of(data.get("ext")) or any("." in key and not key.startswith("kitpack.") for key in data):
        notes[f"{path}: extensions have no place here, and are kept as metadata"] = None
    return keys
