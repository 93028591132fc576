"""Jinja templates in Handlebars, as dotprompt has them, where both can say the same; the rest is a fault.

Spec: https://handlebarsjs.com/guide/ and https://google.github.io/dotprompt/reference/template/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from kitpack.errors import Issue, PromptError

__all__ = ["jinja_to_handlebars"]

_TAG = re.compile(r"\{\{(-?)(.*?)(-?)\}\}|\{%(-?)(.*?)(-?)%\}|\{#(-?)(.*?)(-?)#\}", re.DOTALL)
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\]|\['\w+'\]|\[\"\w+\"\])*")
_STRING = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")
_LITERAL = re.compile(r"'[^'\\]*'|\"[^\"\\]*\"|-?\d+(?:\.\d+)?|true|false")
_EMPTY = re.compile(r"(\S+)\s*\|\s*d(?:efault)?\(\s*(?:''|\"\")\s*\)")
_GUARDED = re.compile(r"(\S+) is defined and (\S+)")
_COMPARED = re.compile(r"(\S+)\s*(==|!=)\s*(.+)")
_LOOP = {"loop.index0": "@index", "loop.first": "@first", "loop.last": "@last"}

IncludeName = Callable[[str], str]


@dataclass(slots=True)
class _Work:
    """A template on its way into Handlebars."""

    path: str
    line: int
    include: IncludeName
    names: list[str] = field(default_factory=list)
    closers: list[list[str]] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def jinja_to_handlebars(template: str, path: str, *, include: IncludeName, line: int = 1) -> str:
    """A template of one message in Handlebars.

    Args:
        template: The template.
        path: Its file, for faults.
        include: The name of the partial that a text of this path becomes.
        line: The line of the file on which the template starts.

    Raises:
        PromptError: With everything in it that Handlebars has no equal for.
    """
    work = _Work(path, line, include)
    result, pending, position = "", "", 0
    for found in _TAG.finditer(template):
        text = template[position : found.start()]
        work.line += text.count("\n")
        pending, position = pending + text, found.end()
        if (literal := _literal_of(found)) is not None:
            pending += literal
            continue
        tag = _tag(work, found)
        result, pending = result + _escaped(work, pending, tag), ""
        # A tag alone on its line takes the line with it in Handlebars; in Jinja, the line break stays.
        alone = (
            _is_block(tag) and re.search(r"(?:\A|\n)[ \t]*\Z", result) and re.match(r"[ \t]*\n", template[position:])
        )
        result += tag + ("\n" if alone else "")
        work.line += found[0].count("\n")
    result += _escaped(work, pending + template[position:], "")
    if work.issues:
        raise PromptError(work.issues)
    return result


def _literal_of(found: re.Match[str]) -> str | None:
    """The characters that a place holds instead of a value, as Jinja's own braces are written."""
    text = _STRING.fullmatch(found[2].strip()) if found[2] is not None and not (found[1] or found[3]) else None
    return (text[1] or text[2] or "") if text else None


def _is_block(tag: str) -> bool:
    return tag.count("{{") == 1 and tag.lstrip("{~").startswith(("#", "/", "else", "!", ">"))


def _escaped(work: _Work, text: str, tag: str) -> str:
    if "\\{{" in text or (tag.startswith("{{") and text.endswith(("{", "\\"))):
        _refuse(work, "a brace or a backslash right before two braces means something else in Handlebars")
    return text.replace("{{", "\\{{")


def _refuse(work: _Work, message: str) -> str:
    hint = "write it for dotprompt by hand, or export to prompty, which knows Jinja"
    work.issues.append(Issue(path=work.path, line=work.line, message=message, hint=hint))
    return ""


def _tag(work: _Work, found: re.Match[str]) -> str:
    printed, stated, comment = found[2], found[5], found[8]
    before = "~" * bool(found[1] or found[4] or found[7])
    after = "~" * bool(found[3] or found[6] or found[9])
    if comment is not None:
        return f"{{{{{before}!-- {comment.strip().replace('--', '- -')} --{after}}}}}"
    inner = [_printed(work, printed.strip())] if printed is not None else _stated(work, stated.strip())
    return "".join(f"{{{{{before}{one}{after}}}}}" for one in inner)


def _printed(work: _Work, said: str) -> str:
    if said in _LOOP:
        return _LOOP[said]
    value, _, rest = (part.strip() for part in said.partition("|"))
    if rest == "tojson":
        return f"json {_value(work, value)}"
    if empty := _EMPTY.fullmatch(said):
        return _value(work, empty[1])
    return _value(work, said)


def _value(work: _Work, said: str) -> str:
    if _LITERAL.fullmatch(said):
        return said
    if said in _LOOP:
        return _LOOP[said]
    if not _PATH.fullmatch(said):
        return _refuse(work, f"{said[:80]!r} has no equal in Handlebars")
    steps = [step for step in re.split(r"[.\[\]'\"]+", said) if step]
    return ".".join(steps if steps[0] in work.names or not work.names else ["@root", *steps])


def _stated(work: _Work, said: str) -> list[str]:
    """The tags that a statement becomes: an ``elif`` is a block within the block."""
    word, _, rest = (part.strip() for part in said.partition(" "))
    if word == "if" or (word == "elif" and work.closers):
        opened, closer = _condition(work, rest)
        if word == "if":
            work.closers.append([])
        work.closers[-1].append(closer)
        return [opened] if word == "if" else ["else", opened]
    if word == "for" or said == "else":
        return [_loop(work, rest) if word == "for" else "else"]
    if word in ("endif", "endfor") and work.closers:
        if word == "endfor":
            work.names.pop()
        return [f"/{closer}" for closer in reversed(work.closers.pop())]
    named = _STRING.fullmatch(rest) if word == "include" else None
    if named:
        return [f">{work.include(named[1] or named[2] or '')}"]
    return [_refuse(work, f"{{% {said[:80]} %}} has no equal in Handlebars")]


def _condition(work: _Work, said: str) -> tuple[str, str]:
    negated = said.startswith("not ")
    said = said.removeprefix("not ").strip()
    said = said[1:-1] if said.startswith("(") and said.endswith(")") else said
    guarded, compared = _GUARDED.fullmatch(said), _COMPARED.fullmatch(said)
    if guarded and guarded[1] == guarded[2]:
        said = guarded[1]
    elif compared and not negated:
        helper = "ifEquals" if compared[2] == "==" else "unlessEquals"
        return f"#{helper} {_value(work, compared[1])} {_value(work, compared[3].strip())}", helper
    helper = "unless" if negated else "if"
    return f"#{helper} {_value(work, said)}", helper


def _loop(work: _Work, said: str) -> str:
    parts = re.fullmatch(r"([A-Za-z_]\w*)\s+in\s+(\S+)", said)
    over = _value(work, parts[2]) if parts else _refuse(work, f"{{% for {said[:80]} %}} has no equal in Handlebars")
    name = parts[1] if parts else "item"
    work.names.append(name)
    work.closers.append(["each"])
    return f"#each {over} as |{name}|"
