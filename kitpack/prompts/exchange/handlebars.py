"""Handlebars templates, as dotprompt has them, in Jinja.

Everything with an equal in Jinja is translated: variables and paths, ``if``, ``unless``, ``each``, ``with``,
``ifEquals``, ``unlessEquals``, ``json``, ``role``, comments, partials, and the rule that tags alone on their line
leave nothing of it. The rest is a fault with its line.

Spec: https://handlebarsjs.com/guide/ and https://google.github.io/dotprompt/reference/template/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from kitpack.errors import Issue, PromptError
from kitpack.oci.jsontext import JsonObject
from kitpack.prompts.exchange.handlebars_pieces import Tagged, tagged_pieces
from kitpack.prompts.keys import object_of

__all__ = ["Translated", "handlebars_messages", "handlebars_to_jinja", "optional_names"]

_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"'()=|]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LITERAL = re.compile(r"\"[^\"]*\"|'[^']*'|-?[0-9]+(?:\.[0-9]+)?|true|false")
_EACH = re.compile(r"(\S+)\s+as\s+\|\s*([A-Za-z_][A-Za-z0-9_]*)\s*\|")
_ROLES = {"model": "assistant", "system": "system", "user": "user", "tool": "tool", "assistant": "assistant"}
_METHODS = frozenset(dir(dict))
_LOOP = {"@index": "loop.index0", "@first": "loop.first", "@last": "loop.last"}

_BLANK = re.compile(r"\A(?:[ \t]*\n)+")

PartialPath = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A template in Jinja.

    Attributes:
        messages: The role and the text of each message; the first is the user's where nothing is said.
        names: The variables that it uses.
        notes: What did not come along.
    """

    messages: tuple[tuple[str, str], ...]
    names: frozenset[str]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Block:
    """A block that is open: its helper, and what names in it belong to."""

    helper: str
    scope: str
    line: int
    alias: str = ""


@dataclass(slots=True)
class _Translation:
    """A template on its way into Jinja."""

    path: str
    optional: frozenset[str]
    partial: PartialPath
    names: set[str] = field(default_factory=set)
    blocks: list[_Block] = field(default_factory=list)
    messages: list[tuple[str, list[str]]] = field(default_factory=lambda: [("user", [])])
    issues: list[Issue] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    loops: int = 0


def handlebars_to_jinja(
    template: str,
    path: str,
    *,
    optional: frozenset[str] = frozenset(),
    partial: PartialPath = lambda _: None,
    first_line: int = 1,
) -> str:
    """A template that is no more than one message in Jinja; see :func:`handlebars_messages`.

    Raises:
        PromptError: With everything in it that Jinja has no equal for.
    """
    work = _translated(template, path, optional, partial, first_line)
    if len(work.messages) > 1:
        hint = "roles stand in prompts, not in texts that they take in"
        raise PromptError([Issue(path=path, message="a role begins in it", hint=hint)])
    return "".join(work.messages[0][1])


def handlebars_messages(
    template: str, path: str, *, optional: frozenset[str], partial: PartialPath, first_line: int = 1
) -> Translated:
    """A whole template as messages in Jinja, without the blank lines around them.

    Args:
        template: The template.
        path: Its file, for faults.
        optional: The variables that may be left out, which then are empty as in Handlebars.
        partial: The path of the file that a partial becomes; None for one that is not there.
        first_line: The line of the file on which it starts.

    Raises:
        PromptError: With everything in it that Jinja has no equal for.
    """
    work = _translated(template, path, optional, partial, first_line)
    texts = [(role, _BLANK.sub("", "".join(parts)).rstrip()) for role, parts in work.messages]
    messages = tuple((role, text) for role, text in texts if text)
    return Translated(messages=messages, names=frozenset(work.names), notes=tuple(work.notes))


def optional_names(schema: JsonObject) -> frozenset[str]:
    """The variables of a schema that may be left out, and have no default then."""
    properties, required = object_of(schema.get("properties")), schema.get("required")
    must = required if isinstance(required, list) else []
    return frozenset(name for name, one in properties.items() if name not in must and "default" not in object_of(one))


def _translated(
    template: str, path: str, optional: frozenset[str], partial: PartialPath, first_line: int
) -> _Translation:
    work = _Translation(path, optional, partial)
    for piece in tagged_pieces(template, first_line):
        if piece.tag:
            _tag(work, piece)
        else:
            _say(work, piece.text)
    for block in work.blocks:
        opened = Tagged("", block.line)
        _refuse(work, opened, f"{{{{#{block.helper}}}}} is never closed", f"add {{{{/{block.helper}}}}}")
    if work.issues:
        raise PromptError(work.issues)
    return work


def _refuse(work: _Translation, piece: Tagged, message: str, hint: str = "") -> None:
    work.issues.append(Issue(path=work.path, line=piece.line, column=piece.column, message=message, hint=hint))


def _say(work: _Translation, text: str) -> None:
    work.messages[-1][1].append(text)


def _tag(work: _Translation, piece: Tagged) -> None:
    text = piece.text
    if text.startswith("!"):
        work.notes[f"{work.path}: comments are left out"] = None
    elif text.startswith("#"):
        _open(work, piece)
    elif text.startswith("/"):
        _close(work, piece)
    elif text.startswith(">"):
        _partial(work, piece)
    elif text == "^" or re.match(r"else\b", text):
        _otherwise(work, piece)
    else:
        _print(work, piece)


def _open(work: _Translation, piece: Tagged) -> None:
    helper, _, rest = piece.text[1:].strip().partition(" ")
    rest = rest.strip()
    block = _Block(helper, work.blocks[-1].scope if work.blocks else "", piece.line)
    if helper in ("if", "unless"):
        condition = _condition(work, piece, rest)
        _say(work, f"{{% if {condition} %}}" if helper == "if" else f"{{% if not ({condition}) %}}")
    elif helper in ("ifEquals", "unlessEquals"):
        _open_comparison(work, piece, rest, "==" if helper == "ifEquals" else "!=")
    elif helper == "each":
        _open_loop(work, piece, rest, block)
    elif helper == "with":
        block.scope = _value(work, piece, rest)
        _say(work, f"{{% if {_condition(work, piece, rest)} %}}")
    else:
        _refuse(work, piece, f"{{{{#{helper}}}}} has no equal in Jinja", "write the prompt for kitpack by hand")
    work.blocks.append(block)


def _open_comparison(work: _Translation, piece: Tagged, rest: str, sign: str) -> None:
    sides = [_value(work, piece, word) for word in _WORD.findall(rest)]
    if len(sides) != 2:
        _refuse(work, piece, f"{len(sides)} values are compared, not two", 'write {{#ifEquals tier "gold"}}')
    _say(work, f"{{% if {f' {sign} '.join(sides)} %}}")


def _open_loop(work: _Translation, piece: Tagged, rest: str, block: _Block) -> None:
    named = _EACH.fullmatch(rest)
    over = _value(work, piece, named[1] if named else rest)
    work.loops += 1
    item = "item" if work.loops == 1 else f"item{work.loops}"
    if named:
        block.alias = item = named[2]
    block.scope = item
    _say(work, f"{{% for {item} in {over} %}}")


def _close(work: _Translation, piece: Tagged) -> None:
    helper = piece.text[1:].strip()
    if not work.blocks or work.blocks[-1].helper != helper:
        open_ = f"{{{{#{work.blocks[-1].helper}}}}} of line {work.blocks[-1].line}" if work.blocks else "nothing"
        _refuse(work, piece, f"{{{{/{helper}}}}} closes {open_}")
        return
    work.blocks.pop()
    _say(work, "{% endfor %}" if helper == "each" else "{% endif %}")


def _otherwise(work: _Translation, piece: Tagged) -> None:
    if not work.blocks:
        _refuse(work, piece, "{{else}} stands in no block")
        return
    rest = re.sub(r"\A(?:\^|else)\s*", "", piece.text)
    if rest.startswith("if ") and work.blocks[-1].helper in ("if", "unless"):
        _say(work, f"{{% elif {_condition(work, piece, rest[3:].strip())} %}}")
    elif rest:
        _refuse(work, piece, f"{{{{else {rest}}}}} has no equal in Jinja", "use a block inside of {{else}}")
    else:
        work.blocks[-1].scope = work.blocks[-2].scope if len(work.blocks) > 1 else ""
        _say(work, "{% else %}")


def _partial(work: _Translation, piece: Tagged) -> None:
    name, *given = piece.text[1:].split()
    path = work.partial(name)
    if given or any(block.scope for block in work.blocks):
        _refuse(work, piece, f"the partial {name} is given values of its own", "write its text into the prompt")
    elif path is None:
        _refuse(work, piece, f"there is no partial {name}", f"add the file _{name}.prompt")
    else:
        _say(work, f'{{% include "{path}" %}}')


def _print(work: _Translation, piece: Tagged) -> None:
    helper, *given = _WORD.findall(piece.text) or [""]
    if helper == "role" and len(given) == 1:
        role = _ROLES.get(given[0].strip("\"'"))
        if role is None or work.blocks:
            why = f"{given[0]} is no role" if role is None else "a role begins within a block"
            _refuse(work, piece, why, "roles stand outside of blocks: system, user, model, tool")
        else:
            work.messages.append((role, []))
    elif helper == "json" and len(given) == 1:
        _say(work, f"{{{{ {_value(work, piece, given[0])} | tojson }}}}")
    elif given or helper in ("history", "media", "section", "lookup", "log"):
        _refuse(work, piece, f"{{{{{piece.text}}}}} has no equal in Jinja", "write the prompt for kitpack by hand")
    else:
        value = _value(work, piece, helper)
        place = f"{{{{ {value} }}}}"
        may_lack = value in work.optional
        _say(work, f"{{% if {value} is defined and {value} is not none %}}{place}{{% endif %}}" if may_lack else place)


def _condition(work: _Translation, piece: Tagged, word: str) -> str:
    value = _value(work, piece, word)
    may_lack = "." in value or "[" in value or value in work.optional
    return f"{value} is defined and {value}" if may_lack and not value.startswith("loop.") else value


def _value(work: _Translation, piece: Tagged, word: str) -> str:
    """What a path means in Jinja: names in a loop belong to its item."""
    if _LITERAL.fullmatch(word):
        return word
    if word in _LOOP:
        return _LOOP[word]
    scope, rest = _scope(work, word)
    steps = [step.strip("[]") for step in re.split(r"[./]", re.sub(r"\A(?:this|\.)(?=[./]|\Z)", "", rest)) if step]
    if steps and steps[0] in {block.alias for block in work.blocks}:
        scope = ""
    plain = all(_NAME.fullmatch(step) or step.isdigit() for step in steps)
    if rest.startswith("@") or not plain or not (steps or scope):
        _refuse(work, piece, f"{word[:80]!r} is no path to a value", "name a variable, such as {{ticket}}")
        return "undefined"
    first = scope or steps.pop(0)
    if not scope and first not in {block.alias for block in work.blocks}:
        work.names.add(first)
    return first + "".join(f"[{s}]" if s.isdigit() else f"['{s}']" if s in _METHODS else f".{s}" for s in steps)


def _scope(work: _Translation, word: str) -> tuple[str, str]:
    """What a path starts from, an empty string for the variables themselves; and the rest of the path."""
    scopes = ["", *(block.scope for block in work.blocks if block.helper in ("each", "with"))]
    if word.startswith("@root."):
        return "", word.removeprefix("@root.")
    scope = work.blocks[-1].scope if work.blocks else ""
    while word.startswith("../"):
        word, scopes = word[3:], scopes[:-1] or [""]
        scope = scopes[-1]
    return scope, word
