"""The variables of a prompt: what its templates use, what its author declares, and what a change means to callers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kitpack.document.schema import nearest
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.includes import resolve
from kitpack.prompts.keys import object_of
from kitpack.prompts.pieces import braces, handlebars, names_in
from kitpack.prompts.prompt import Include, Prompt

__all__ = [
    "JINJA",
    "Marks",
    "Unfit",
    "VariableChange",
    "compare_outputs",
    "compare_variables",
    "found_schema",
    "marked",
    "names_of",
    "required_of",
    "schema_of",
    "template_names",
]

JINJA = frozenset({"jinja", "prompty", "chat"})
"""The formats whose templates are Jinja."""

_NAME = re.compile(r"[^\W\d]\w*")


class Unfit(Exception):  # noqa: N818  # it is caught and told by whoever knows the place
    """Variables that cannot be read: the way to the culprit, what was found, and what to write instead."""

    def __init__(self, path: tuple[str | int, ...], message: str, hint: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.hint = hint


def names_of(prompt: Prompt) -> frozenset[str]:
    """The variables that the templates of a prompt use, those of its includes too; names of loops are none."""
    texts = [message.template for message in prompt.messages]
    return template_names(prompt.format, texts, prompt.path, prompt.includes)


def template_names(form: str, texts: Iterable[str], path: str, includes: Mapping[str, Include]) -> frozenset[str]:
    """The variables that templates without faults use.

    Args:
        form: The prompt's format.
        texts: The templates.
        path: The prompt's file.
        includes: What they take in, by path.
    """
    if form in JINJA:
        known: dict[str, frozenset[str]] = {}
        return frozenset[str]().union(*(_jinja_names(text, path, includes, known) for text in texts))
    read = {"braces": braces, "dotprompt": handlebars}.get(form)
    return frozenset[str]().union(*(names_in(read(text)) for text in texts)) if read else frozenset()


def _jinja_names(
    text: str, path: str, includes: Mapping[str, Include], known: dict[str, frozenset[str]]
) -> frozenset[str]:
    """The names of one template; ``known`` are those of the includes that were looked at, each of them once."""
    from kitpack.prompts.jinja import uses_of

    uses = uses_of(text)
    names = set(uses.names)
    for written, _, sees in uses.includes:
        found = resolve(path, written)
        if sees and found in includes:
            if found not in known:
                known[found] = frozenset()
                known[found] = _jinja_names(includes[found].text, found, includes, known)
            names |= known[found] - uses.own
    return frozenset(names)


def schema_of(written: Json) -> JsonObject:
    """The one form of declared variables: a JSON Schema of an object that says what is required.

    Args:
        written: A list of names, the ``properties`` of a schema, or a whole schema with ``type: object``.

    Raises:
        Unfit: When it is none of these.
    """
    if isinstance(written, list):
        return _closed({str(name): {} for name in written})
    if not isinstance(written, dict):
        raise Unfit((), "expected a mapping or a list of names")
    if written.get("type") == "object":
        return _whole(written)
    for name, member in written.items():
        if not isinstance(member, dict | bool | None):
            raise Unfit((name,), "expected a JSON Schema", _schema_hint(name, member))
    return _closed({name: {} if member is None else member for name, member in written.items()})


def found_schema(names: Iterable[str], defaults: JsonObject) -> JsonObject:
    """The schema of variables that nobody declared: all that the templates use, and all required but for defaults."""
    return _closed({name: object_of(defaults.get(name)) for name in sorted({*names, *defaults})})


def required_of(schema: JsonObject) -> tuple[str, ...]:
    """The variables that have to be given."""
    required = schema.get("required")
    return tuple(str(name) for name in required) if isinstance(required, list) else ()


def _whole(schema: JsonObject) -> JsonObject:
    properties = object_of(schema.get("properties"))
    closed = _closed(properties)
    return {**closed, **{key: value for key, value in schema.items() if value is not None}}


def _closed(properties: JsonObject) -> JsonObject:
    for name in properties:
        if not _NAME.fullmatch(name):
            hint = "letters, digits and underscores make a name"
            raise Unfit((name,), f"{name[:80]!r} cannot be the name of a variable", hint)
    required: list[Json] = [name for name, member in properties.items() if "default" not in object_of(member)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema_hint(name: str, member: Json) -> str:
    if isinstance(member, str):
        return f"write `{name}: {{type: {member[:40]}}}`"
    return "a whole JSON Schema starts with `type: object`" if name in ("required", "properties", "$defs") else ""


@dataclass(frozen=True, slots=True)
class Marks:
    """The names that an author lists, such as untrusted ones, and the ones that are no variables."""

    names: frozenset[str]
    unknown: tuple[tuple[str, str], ...]


def marked(schema: JsonObject, listed: Json, flag: str) -> Marks:
    """The variables that are marked as something, in a list or in their own schema.

    Args:
        schema: The variables.
        listed: A list of names.
        flag: The key that marks one in its own schema, such as ``x-kitpack-untrusted``.

    Returns:
        Their names; and the listed names that are no variables, with the variable that was probably meant.
    """
    properties = object_of(schema.get("properties"))
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    flagged = {name for name, member in properties.items() if object_of(member).get(flag) is True}
    unknown = tuple((name, nearest(name, list(properties))) for name in names if name not in properties)
    return Marks(frozenset(flagged | (set(names) & properties.keys())), unknown)


Kind: TypeAlias = Literal["added", "removed", "retyped", "required", "optional", "narrowed", "widened", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableChange:
    """How one variable, or one field of an answer, differs between two versions of a prompt.

    Attributes:
        name: Its name; with dots where it is inside of another.
        kind: What happened to it.
        breaks: Whether what worked with the version before can fail now.
        text: The same in words.
    """

    name: str
    kind: Kind
    breaks: bool
    text: str


def compare_variables(before: Prompt, after: Prompt) -> tuple[VariableChange, ...]:
    """What changed for the callers of a prompt, in the order of the names."""
    return tuple(sorted(_changes(before.variables, after.variables, "", given=True), key=lambda one: one.name))


def compare_outputs(before: Prompt, after: Prompt) -> tuple[VariableChange, ...]:
    """What changed for the readers of a prompt's answers, in the order of the names."""
    old, new = before.output, after.output
    if old is None or new is None:
        if old is new:
            return ()
        words = "the answer has a schema now" if old is None else "the answer has no schema any more"
        return (VariableChange(name="", kind="added" if old is None else "removed", breaks=new is None, text=words),)
    changes = [*_changes(old, new, "", given=False), *_own_changes("", old, new, given=False)]
    return tuple(sorted(changes, key=lambda one: one.name))


_ABOUT = frozenset({"title", "description", "examples", "default", "$comment", "deprecated"})
_INNER = frozenset({"properties", "required", "additionalProperties", "items", "type", "enum"})


def _changes(before: JsonObject, after: JsonObject, above: str, *, given: bool) -> Iterator[VariableChange]:
    """Compare the members of two objects; ``given`` ones come from callers, others go to readers."""
    old, new = object_of(before.get("properties")), object_of(after.get("properties"))
    wanted_before, wanted = set(required_of(before)), set(required_of(after))
    for name in sorted({*old, *new}):
        full = f"{above}{name}"
        if name not in old:
            must = name in wanted
            words = f"{full} was added{', and is required' if must else ''}"
            yield VariableChange(name=full, kind="added", breaks=given and must, text=words)
        elif name not in new:
            yield VariableChange(name=full, kind="removed", breaks=True, text=f"{full} was removed")
        else:
            if (name in wanted) != (name in wanted_before):
                kind: Kind = "required" if name in wanted else "optional"
                yield VariableChange(
                    name=full, kind=kind, breaks=(name in wanted) == given, text=f"{full} is {kind} now"
                )
            yield from _own_changes(full, object_of(old[name]), object_of(new[name]), given=given)


def _own_changes(name: str, old: JsonObject, new: JsonObject, *, given: bool) -> Iterator[VariableChange]:
    if old == new:
        return
    subject = name or "the answer"
    yield from _set_change(subject, name, "type", (_types(old), _types(new)), given=given)
    yield from _set_change(subject, name, "values", (_values(old), _values(new)), given=given)
    if "properties" in old or "properties" in new:
        yield from _changes(old, new, f"{name}." if name else "", given=given) if name else ()
    if object_of(old.get("items")) != object_of(new.get("items")):
        yield from _own_changes(f"{name}[]", object_of(old.get("items")), object_of(new.get("items")), given=given)
    rules = {key for key in {*old, *new} - _ABOUT - _INNER if old.get(key) != new.get(key)}
    if rules:
        words = f"{subject} follows other rules now: {', '.join(sorted(rules))}"
        yield VariableChange(
            name=name, kind="changed", breaks=any(not one.startswith("x-") for one in rules), text=words
        )
    elif any(old.get(key) != new.get(key) for key in _ABOUT):
        keys = sorted(key for key in _ABOUT if old.get(key) != new.get(key))
        yield VariableChange(name=name, kind="changed", breaks=False, text=f"{subject}: {', '.join(keys)} changed")


def _set_change(
    subject: str, name: str, what: str, sets: tuple[frozenset[str] | None, frozenset[str] | None], *, given: bool
) -> Iterator[VariableChange]:
    """Compare what is allowed; None is everything."""
    old, new = sets
    if old == new:
        return
    words = f"{subject}: {what} {_listed(old)} became {_listed(new)}"
    narrower = old is None or (new is not None and new < old)
    wider = new is None or (old is not None and old < new)
    if narrower or wider:
        kind: Kind = "narrowed" if narrower else "widened"
        yield VariableChange(name=name, kind=kind, breaks=narrower == given, text=words)
    else:
        kind = "retyped" if what == "type" else "changed"
        yield VariableChange(name=name, kind=kind, breaks=True, text=words)


def _types(schema: JsonObject) -> frozenset[str] | None:
    kind = schema.get("type")
    names = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else None
    if names is None:
        return None
    found = {str(name) for name in names}
    return frozenset(found | {"integer"} if "number" in found else found)


def _values(schema: JsonObject) -> frozenset[str] | None:
    values = schema.get("enum")
    return frozenset(repr(value) for value in values) if isinstance(values, list) else None


def _listed(found: frozenset[str] | None) -> str:
    if found is None:
        return "anything"
    names = sorted(found - {"integer"} if "number" in found else found)
    return " or ".join(names)[:200]
