"""Prompts from bytes: whatever the format, the result is one :class:`~kitpack.prompts.prompt.Prompt`, or all faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import cast

from kitpack.document.faults import Faults, Kind, decoded, with_one_break
from kitpack.document.schema import nearest, validate
from kitpack.document.soundness import schema_faults
from kitpack.errors import Issue, PromptError
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.filters import format_fault
from kitpack.prompts.formats.plain import read_plain
from kitpack.prompts.frontmatter import Said, Written, read_said, split
from kitpack.prompts.includes import gather
from kitpack.prompts.keys import KEYS, object_of, text_of, texts_of
from kitpack.prompts.pieces import Found, braces, handlebars
from kitpack.prompts.prompt import FORMATS, Format, Include, Message, Prompt
from kitpack.prompts.variables import JINJA, Unfit, found_schema, marked, schema_of, template_names

__all__ = ["MAX_SIZE", "Declared", "format_of", "parse_prompt"]

MAX_SIZE = 4 << 20
"""Bytes above which a file is no prompt."""

_KIND = Kind(noun="a prompt", max_size=MAX_SIZE, too_large="list it under datasets")
_SUFFIXES: dict[str, Format] = {
    ".j2": "jinja",
    ".jinja": "jinja",
    ".jinja2": "jinja",
    ".prompty": "prompty",
    ".prompt": "dotprompt",
    ".json": "chat",
    ".yaml": "chat",
    ".yml": "chat",
}
_KITOPS = frozenset({"name", "description"})
_OWN_TEXT = ("text", "jinja", "braces")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a Kitfile's entry says about a prompt; what it does not say is empty.

    Attributes:
        name: How applications ask for it.
        description: What it is for.
        model: The model it is tuned for.
        parameters: Sampling parameters.
        variables: A JSON Schema of its variables, or a list of their names.
        output: A JSON Schema of the answer.
        untrusted: The names of variables whose values users control.
        changelog: Why it differs from the version before.
        format: How its template is written.
        line: The line of the entry in the Kitfile; 0 when it is unknown.
    """

    name: str = ""
    description: str = ""
    model: str = ""
    parameters: Json = field(default=None, hash=False)
    variables: Json = field(default=None, hash=False)
    output: Json = field(default=None, hash=False)
    untrusted: tuple[str, ...] = ()
    changelog: str = ""
    format: str = ""
    line: int = field(default=0, compare=False)

    def said(self) -> JsonObject:
        """What it says about the prompt itself, which the format of its file is not."""
        every: JsonObject = {
            "name": self.name,
            "description": self.description,
            "model": self.model,
            "parameters": self.parameters,
            "variables": self.variables,
            "output": self.output,
            "untrusted": list[Json](self.untrusted),
            "changelog": self.changelog,
        }
        return {key: value for key, value in every.items() if value not in ("", None, [])}


def format_of(path: str, declared_format: str = "") -> Format | None:
    """How the templates of a file are written.

    Args:
        path: The file.
        declared_format: What its Kitfile entry says.

    Returns:
        The format that is declared, or that the suffix tells; None when the front matter decides.
    """
    known: dict[str, Format] = {name: name for name in FORMATS}
    if declared_format in known:
        return known[declared_format]
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower())


def parse_prompt(
    raw: bytes, path: str, *, declared: Declared | None = None, read: Callable[[str], bytes] | None = None
) -> Prompt:
    """Read a prompt.

    Args:
        raw: The exact bytes of its file.
        path: The file in its bundle, with forward slashes.
        declared: What the Kitfile says about it.
        read: Gives the bytes of another file of the bundle by its path, for includes; raises
            :class:`~kitpack.errors.NotFoundError` when there is none.

    Raises:
        PromptError: With all of its faults.
    """
    faults, declared = Faults(path), declared or Declared()
    text = _text(raw, faults)
    form = format_of(path, declared.format)
    if declared.format and declared.format not in FORMATS:
        faults.add(0, 0, *_unknown_format(declared.format))
    written = _written(text, path, form, declared, faults) if text is not None else None
    if written is None:
        raise PromptError(faults.ordered())
    form, pieces = written
    building = _Building(path=path, form=form, faults=faults, said=_merged(pieces.said, declared, faults))
    prompt = building.prompt(raw, text or "", pieces.messages, read)
    if faults.issues:
        raise PromptError(_in_order(faults))
    return prompt


def _text(raw: bytes, faults: Faults) -> str | None:
    text = decoded(raw, _KIND, faults)
    if text is None:
        return None
    if not text.strip():
        faults.add(0, 0, "it is empty", "write what is said to the model")
        return None
    if "\x00" in text:
        faults.add(text.count("\n", 0, text.index("\x00")) + 1, 0, "the character U+0000 is no text", "remove it")
        return None
    return with_one_break(text)


def _unknown_format(name: str) -> tuple[str, str]:
    meant = nearest(name, FORMATS)
    return f"expected a format ({', '.join(FORMATS)}), found {name[:40]!r}", f"write {meant}" if meant else ""


def _written(
    text: str, path: str, form: Format | None, declared: Declared, faults: Faults
) -> tuple[Format, Written] | None:
    """Read a text in its format, which its front matter may name."""
    if form == "prompty":
        from kitpack.prompts.formats.prompty import read_prompty

        return form, read_prompty(text, faults)
    if form == "dotprompt":
        from kitpack.prompts.formats.dotprompt import read_dotprompt

        return form, read_dotprompt(text, faults)
    if form == "chat":
        from kitpack.prompts.formats.chat import read_chat

        chat = read_chat(text, faults, is_json=PurePosixPath(path).suffix.lower() == ".json")
        return (form, chat) if chat else None
    return _plain(text, form, declared, faults)


def _plain(text: str, form: Format | None, declared: Declared, faults: Faults) -> tuple[Format, Written] | None:
    front, body, line = split(text)
    said: Said | None = Said()
    if front is not None:
        said = read_said(front, KEYS, faults, closed=front != text)
    if said is None:
        return None
    named = text_of(said.data.get("format"))
    if named and named not in _OWN_TEXT and named in FORMATS:
        faults.add(*said.place("format"), f"the format {named} follows from the name of the file, not from here")
    if named and form and named != form:
        faults.add(*said.place("format"), f"format: {named} stands here, but the file or its Kitfile says {form}")
    templated = front is not None or declared.variables is not None
    chosen = form or (named if named in _OWN_TEXT else "jinja" if templated else "text")
    role = text_of(said.data.get("role"))
    enclosed = _enclosed if chosen == "jinja" else None
    messages = read_plain(body, line, role, faults, enclosed=enclosed)
    return cast("Format", chosen), Written(messages=messages, said=said)


def _enclosed(body: str) -> dict[int, str]:
    from kitpack.prompts.jinja import enclosed_lines

    return enclosed_lines(body)


def _merged(said: Said, declared: Declared, faults: Faults) -> Said:
    """What the file and its Kitfile entry say; only one of them may say anything.

    A KitOps Kitfile gives every prompt a name and a description: they stand beside front matter that does not say else.
    """
    extra = declared.said()
    if not extra:
        return said
    if said.data.keys() - {"format", "role"}:
        twice = [key for key in extra if key not in _KITOPS or said.data.get(key, extra[key]) != extra[key]]
        if twice:
            where = f" on line {declared.line}" if declared.line else ""
            message = f"it is described twice: in the file, and in the Kitfile{where} ({', '.join(twice)})"
            faults.add(1, 1, message, "keep one of the two descriptions")
            return said
        return Said(data={**extra, **said.data}, root=said.root)
    faults.issues += validate(extra, KEYS, lambda _path, _key: (0, 0), faults.name)
    return Said(data={**said.data, **extra}, root=said.root)


def _in_order(faults: Faults) -> list[Issue]:
    """The faults of the prompt first, then those of its includes."""
    ordered = faults.ordered()
    return sorted(ordered, key=lambda issue: issue.path != faults.name)


@dataclass(slots=True)
class _Building:
    """Makes the prompt from what was read, and notes what keeps it from being one."""

    path: str
    form: Format
    faults: Faults
    said: Said

    def prompt(
        self, raw: bytes, text: str, messages: tuple[Message, ...], read: Callable[[str], bytes] | None
    ) -> Prompt:
        """Make the prompt; it is good for something only when no fault was noted."""
        data = self.said.data
        if not messages or not any(message.template.strip() for message in messages):
            self.faults.add(0, 0, "it says nothing", "write what is said to the model")
        filters = self._filters(object_of(data.get("filters")))
        good = [message for message in messages if self._is_good(message, filters)]
        includes = self._includes(good, filters, read)
        names = template_names(self.form, [message.template for message in good], self.path, includes)
        variables, is_declared = self._variables(names)
        return Prompt(
            name=text_of(data.get("name")) or _default_name(self.path, object_of(data.get("metadata"))),
            path=self.path,
            format=self.form,
            digest=Digest.of_bytes(raw),
            messages=messages,
            description=text_of(data.get("description")),
            version=text_of(data.get("version")),
            changelog=text_of(data.get("changelog")),
            model=text_of(data.get("model")),
            parameters=object_of(data.get("parameters")),
            variables=variables,
            declared=is_declared,
            output=self._output(data.get("output")),
            tools=data.get("tools"),
            untrusted=self._marked(variables, "untrusted"),
            sensitive=self._marked(variables, "sensitive"),
            must_contain=texts_of(data.get("must_contain")),
            filters=filters,
            includes=includes,
            metadata=object_of(data.get("metadata")),
            lines=self.said.lines(),
            source=text,
        )

    def _filters(self, written: JsonObject) -> dict[str, str]:
        found = {name: text_of(pattern) for name, pattern in written.items()}
        for name, pattern in found.items():
            message = "" if name.isidentifier() else f"{name[:80]!r} cannot be the name of a filter"
            if message := message or (format_fault(pattern) if pattern else ""):
                self.faults.add(*self.said.place("filters", name), message)
        if found and self.form not in JINJA:
            self.faults.add(*self.said.place("filters"), f"the format {self.form} has no filters", "use format: jinja")
        return found

    def _is_good(self, message: Message, filters: dict[str, str]) -> bool:
        """Whether a template has no faults of its own."""
        found = _template_faults(self.form, message.template, filters)
        for one in found:
            self.faults.add(one.line + message.line - 1, 0, one.message, one.hint)
        return not found

    def _includes(
        self, messages: list[Message], filters: dict[str, str], read: Callable[[str], bytes] | None
    ) -> dict[str, Include]:
        if self.form not in JINJA:
            return {}
        templates = [(message.template, message.line) for message in messages]
        return gather(self.path, templates, read, filters, self.faults)

    def _variables(self, names: frozenset[str]) -> tuple[JsonObject, bool]:
        """The schema of the variables, and whether the author wrote it."""
        written = self.said.data.get("variables")
        if self.form == "dotprompt" and "input" in self.said.lines() and not object_of(written).get("properties"):
            return found_schema(names, object_of(written)), False
        if written is None:
            return found_schema(names, {}), False
        try:
            schema = schema_of(written)
        except Unfit as unfit:
            self.faults.add(*self._place("variables", *unfit.path), unfit.message, unfit.hint)
            return found_schema(names, {}), True
        is_whole = isinstance(written, dict) and written.get("type") == "object"
        for path, message, hint in schema_faults(schema):
            self.faults.add(
                *self._place("variables", *path[not is_whole and path[:1] == ("properties",) :]), message, hint
            )
        return schema, True

    def _output(self, written: Json) -> JsonObject | None:
        if not isinstance(written, dict):
            return None
        for path, message, hint in schema_faults(written):
            self.faults.add(*self._place("output", *path), message, hint)
        return written

    def _marked(self, variables: JsonObject, key: str) -> frozenset[str]:
        marks = marked(variables, self.said.data.get(key), f"x-kitpack-{key}")
        for name, meant in marks.unknown:
            hint = f"did you mean {meant!r}?" if meant else "declare it under variables, or remove it"
            self.faults.add(*self.said.place(key), f"{key}: there is no variable {name[:80]!r}", hint)
        return marks.names

    def _place(self, key: str, *path: str | int) -> tuple[int, int]:
        theirs = {"variables": {"dotprompt": ("input", "schema"), "prompty": ("inputs",)}, "output": {}}
        theirs["output"] = {"dotprompt": ("output", "schema"), "prompty": ("outputs",)}
        return self.said.place(*theirs[key].get(self.form, (key,)), *path)


def _template_faults(form: Format, text: str, filters: dict[str, str]) -> list[Found]:
    if form in JINJA:
        from kitpack.prompts.jinja import faults_of

        return faults_of(text, filters)
    read = {"braces": braces, "dotprompt": handlebars}.get(form)
    return [piece for piece in read(text) if isinstance(piece, Found)] if read else []


def _default_name(path: str, metadata: JsonObject) -> str:
    """The name of the file without its suffixes."""
    stem = PurePosixPath(path).name.lstrip(".").split(".")[0] or PurePosixPath(path).name
    variant = text_of(metadata.get("variant"))
    return f"{stem}.{variant}" if variant else stem
