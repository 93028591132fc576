"""Jinja templates as text: what is wrong with them, which names they use, what they include, and their compiling.

Everything is told from the syntax tree, never by patterns: loops have names of their own, and conditions use names too.

Spec: https://jinja.palletsprojects.com/en/stable/templates/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import jinja2
from jinja2 import meta, nodes

from kitpack.document.schema import nearest
from kitpack.prompts.counting import counted
from kitpack.prompts.filters import OWN, SAFE
from kitpack.prompts.pieces import Found
from kitpack.prompts.sandbox import TESTS, Filters, Template, environment, template_of

__all__ = ["Uses", "compile_template", "enclosed_lines", "faults_of", "uses_of"]

_TAG = re.compile(r"\{[{%]")
_MAX_TAGS = 20_000
_MAX_CODE = 200_000
_MAX_DEPTH = 60
_MAX_LOOPS = 12


@dataclass(frozen=True, slots=True)
class Uses:
    """What a template uses.

    Attributes:
        names: The variables it wants from outside.
        own: The names it gives to things itself, in loops and assignments.
        includes: The files it takes in: the path as written, the line, and whether they see its variables.
        filters: The filters it uses.
        values: The variables whose values are what the caller gave, wherever they stand.
    """

    names: frozenset[str]
    own: frozenset[str]
    includes: tuple[tuple[str, int, bool], ...]
    filters: frozenset[str]
    values: frozenset[str]


class _Any(dict[str, object]):
    """Filters of which none is missing, for reading templates whose filters are not known yet."""

    def get(self, key: str, default: object = None) -> object:
        del key, default
        return str


def faults_of(text: str, filters: Mapping[str, str]) -> list[Found]:
    """Find what is wrong with a template, all of it; of what is no Jinja, the first fault.

    Args:
        text: The template.
        filters: The prompt's own filters.
    """
    if text.count("{{") + text.count("{%") > _MAX_TAGS or _code_size(text) > _MAX_CODE:
        return [Found(1, f"more than {_MAX_TAGS} tags, or {_MAX_CODE} characters in them", "make it smaller")]
    try:
        tree = _parsed(text)
    except jinja2.TemplateSyntaxError as error:
        return [Found(error.lineno, f"it is not Jinja here: {error.message or ''}".rstrip(": "))]
    except (RecursionError, OverflowError, ValueError):
        return [Found(1, "the template is nested too deeply", "make it simpler")]
    return sorted(_faults(tree, {*filters, *SAFE, *OWN}), key=lambda found: found.line)


@lru_cache(maxsize=64)
def uses_of(text: str) -> Uses:
    """What a template without faults uses."""
    tree = _parsed(text)
    wanted, own = meta.find_undeclared_variables(tree), set[str]()
    filters, includes, has_more_names = set[str](), list[tuple[str, int, bool]](), False
    for node in _every(tree):
        match node:
            case nodes.Name(name=name, ctx="store" | "param"):
                own.add(name)
            case nodes.Filter(name=name):
                filters.add(name)
            case nodes.Include() | nodes.Import() | nodes.FromImport():
                includes += _include(node)
                has_more_names |= not isinstance(node, nodes.Include)
            case nodes.Macro() | nodes.CallBlock():
                has_more_names = True
    return Uses(
        names=frozenset(wanted),
        own=frozenset(own),
        includes=tuple(includes),
        filters=frozenset(filters),
        values=frozenset() if has_more_names else frozenset(wanted - own),
    )


def enclosed_lines(text: str) -> dict[int, str]:
    """Which lines of a text, counted from 0, are inside of a block, and of which: ``for``, ``comment``, ``raw``."""
    inside: dict[int, str] = {}
    try:
        for line, count, block in _spans(text):
            inside.update(dict.fromkeys(range(line, line + count + 1), block))
    except jinja2.TemplateSyntaxError:
        return inside  # it is reported when the template is looked at
    return inside


def compile_template(
    text: str, path: str, filters: Filters, includes: Mapping[str, str], resolve: Callable[[str, str], str]
) -> Template:
    """Compile a template without faults.

    Args:
        text: The template.
        path: Its file.
        filters: The prompt's own filters.
        includes: The texts it takes in, and those that they take in, by path.
        resolve: Gives the path of an include from the path of the file that names it, and the name.

    Raises:
        RenderError: When it is too deeply nested for that.
    """

    def load(name: str) -> Template:
        if name not in loaded:
            tree = counted(sandbox.parse(includes[name]), lambda other: resolve(name, other))
            loaded[name] = template_of(sandbox, tree, name)
        return loaded[name]

    loaded: dict[str, Template] = {}
    sandbox = environment(filters, load)
    tree = counted(sandbox.parse(text), lambda other: resolve(path, other), values=uses_of(text).values)
    return template_of(sandbox, tree, path)


@lru_cache(maxsize=64)
def _parsed(text: str) -> nodes.Template:
    return _reading().parse(text)


@lru_cache(maxsize=1)
def _reading() -> jinja2.Environment:
    made = environment(())
    made.filters, made.tests = _Any(), _Any()  # type: ignore[assignment]
    return made


def _code_size(text: str) -> int:
    """How many characters stand in tags, about."""
    size = at = 0
    while (found := _TAG.search(text, at)) is not None:
        end = text.find("}}" if found[0] == "{{" else "%}", found.end())
        at = len(text) if end < 0 else end
        size += at - found.end()
    return size


def _every(tree: nodes.Node) -> Iterator[nodes.Node]:
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack += node.iter_child_nodes()


def _include(node: nodes.Include | nodes.Import | nodes.FromImport) -> list[tuple[str, int, bool]]:
    name = node.template
    if not isinstance(name, nodes.Const) or not isinstance(name.value, str):
        return []
    return [(name.value, node.lineno, bool(node.with_context))]


def _faults(tree: nodes.Template, filters: set[str]) -> Iterator[Found]:
    stack: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while stack:
        node, depth, loops = stack.pop()
        if depth > _MAX_DEPTH or loops > _MAX_LOOPS:
            yield Found(node.lineno or 1, "the template is nested too deeply", "make it simpler")
            return
        yield from _node_faults(node, filters)
        inner = loops + isinstance(node, nodes.For)
        stack += [(child, depth + 1, inner) for child in node.iter_child_nodes()]


def _node_faults(node: nodes.Node, filters: set[str]) -> Iterator[Found]:
    match node:
        case nodes.Filter(name=name) if name not in filters:
            meant = nearest(name, sorted(filters))
            advice = f"did you mean {meant!r}?" if meant else f"declare it: `filters: {{{name}: '{{:.2f}}'}}`"
            yield Found(node.lineno, f"there is no filter {name!r}", advice)
        case nodes.Test(name=name) if name not in TESTS:
            meant = nearest(name, sorted(TESTS))
            yield Found(node.lineno, f"there is no test {name!r}", f"did you mean {meant!r}?" if meant else "")
        case nodes.Extends() | nodes.Block():
            yield Found(node.lineno, "templates that extend others are not supported", "include the parts instead")
        case nodes.For(recursive=True):
            yield Found(node.lineno, "recursive loops are not supported", "write a macro that calls itself")
        case nodes.Getattr(attr=name) if name.startswith("__"):
            yield Found(node.lineno, f"the name {name!r} reaches into Python", "values have no such members")
        case nodes.Include(ignore_missing=True):
            yield Found(node.lineno, "an include is there or it is not", "remove `ignore missing`")
        case nodes.Include(template=name) | nodes.Import(template=name) | nodes.FromImport(template=name):
            if not (isinstance(name, nodes.Const) and isinstance(name.value, str)):
                yield Found(node.lineno, "an include whose name is calculated", "write its path in quotes")


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    """The lines that each stretch of text inside of a block reaches over."""
    blocks: list[str] = []
    word: list[str] = []
    for number, kind, value in _reading().lex(text):
        if kind == "block_begin":
            word = []
        elif kind == "block_end":
            _enter_or_leave(blocks, word)
        elif kind in ("raw_begin", "raw_end"):
            _enter_or_leave(blocks, [kind.replace("_", " ").replace("raw begin", "raw").replace("raw end", "endraw")])
        elif kind == "comment":
            yield number - 1, value.count("\n"), "comment"
        elif kind == "data" and blocks:
            yield number - 1, value.count("\n"), blocks[-1]
        elif kind in ("name", "operator"):
            word.append(value)


_BLOCKS = frozenset({"for", "if", "macro", "call", "filter", "with", "raw", "autoescape", "block"})


def _enter_or_leave(blocks: list[str], words: list[str]) -> None:
    first = words[0] if words else ""
    if first in _BLOCKS or (first == "set" and "=" not in words):
        blocks.append(f"{{% {first} %}}")
    elif first.startswith("end") and blocks:
        blocks.pop()
