"""Where Jinja templates run: a sandbox in which a template sees plain values and pays for its work.

A template is somebody else's program. It runs in Jinja's immutable sandbox, calls nothing but the few functions,
methods and filters named here, and whatever could make it slow or large is counted by a
:class:`~kitpack.prompts.meter.Meter`. Values are put in as they are and never read as templates.

Spec: https://jinja.palletsprojects.com/en/stable/sandbox/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, update_wrapper
from itertools import islice
from types import TracebackType
from typing import TypeAlias, cast

import jinja2
from jinja2 import nodes
from jinja2.environment import TemplateModule
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import Cycler, Joiner, Namespace, pass_context

from kitpack.errors import RenderError
from kitpack.oci.jsontext import JsonObject
from kitpack.prompts.filters import GUARDS, OWN, SAFE, apply_format, brought
from kitpack.prompts.meter import (
    ExhaustedError,
    Meter,
    current,
    formatted,
    joined,
    metered,
    over,
    power,
    product,
    replaced,
    total,
)

__all__ = [
    "CHARGE",
    "CONCAT",
    "ENGINE",
    "GLOBALS",
    "LOOP",
    "TESTS",
    "WEIGH",
    "WRITTEN",
    "Filters",
    "Loader",
    "Template",
    "environment",
    "fill",
    "template_of",
]

ENGINE = f"jinja2 {jinja2.__version__}"
"""What renders templates; another version may render another text."""

LOOP, CONCAT, WEIGH, CHARGE, WRITTEN = (f"kitpack {word}" for word in ("loop", "concat", "weigh", "charge", "written"))
"""Filters that count work; no template can name them, for they have a space in their names."""

GLOBALS = {"range": safe_range, "dict": dict, "namespace": Namespace, "cycler": Cycler, "joiner": Joiner}
"""The functions that templates may call."""

TESTS = frozenset(JINJA_TESTS) - {"callable", "escaped", "filter", "test"}
"""The tests that templates may use."""

Filters: TypeAlias = tuple[tuple[str, str], ...]
"""A prompt's own filters: names and format strings, empty for functions that the application brings."""

Loader: TypeAlias = Callable[[str], "Template"]
"""Gives the template of an include by its path."""

Template: TypeAlias = jinja2.Template
"""A template that was compiled."""

_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        {
            "capitalize",
            "casefold",
            "count",
            "endswith",
            "find",
            "index",
            "isalnum",
            "isalpha",
            "isdecimal",
            "isdigit",
            "islower",
            "isnumeric",
            "isspace",
            "istitle",
            "isupper",
            "join",
            "lower",
            "lstrip",
            "partition",
            "removeprefix",
            "removesuffix",
            "replace",
            "rfind",
            "rindex",
            "rpartition",
            "rsplit",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "swapcase",
            "title",
            "upper",
        }
    ),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index", "grouper", "list"}),
}
_OPEN = (LoopContext, Macro, Namespace, Cycler, Joiner, TemplateModule)
_PLAIN = (str, int, float, bool, type(None), list, tuple, dict, range)
_NUMBERS = frozenset({int, float})
_SMALL = 1 << 64
_CHUNKS = 10_000
_COSTS = {"*": product, "**": power, "+": total, "%": formatted}
_FAILURES = (
    jinja2.TemplateError,
    ExhaustedError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(_COSTS)

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Whether a template may see an attribute: that of a loop, say, or a method of text that cannot do harm."""
        for kind, allowed in _METHODS.items():
            if isinstance(obj, kind):
                return attr in allowed
        return isinstance(obj, _OPEN) and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: object) -> None:
        """``str.format`` is not offered, not even a safer one: its widths know no bounds."""
        del value

    def call(self, context: Context, obj: object, /, *args: object, **kwargs: object) -> object:
        """Call a function, once what it is given is paid for."""
        meter = current()
        owner = getattr(obj, "__self__", None)
        args = tuple(_sized(one) for one in args)
        if isinstance(owner, str):
            _pay_for_method(obj, owner, args)
        elif isinstance(owner, list | dict | tuple):
            meter.weigh(owner)
        for one in (*args, *kwargs.values()):
            meter.weigh(one)
        result: object = super().call(context, obj, *args, **kwargs)
        meter.weigh(result)
        return result

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Calculate, once the result is paid for."""
        del context
        if operator == "**" or not (_is_small(left) and _is_small(right)):
            _COSTS[operator](left, right)
        return self.binop_table[operator](left, right)


def _is_small(value: object) -> bool:
    return value.__class__ in _NUMBERS and -_SMALL < value < _SMALL  # type: ignore[operator]


def _pay_for_method(method: object, owner: str, args: tuple[object, ...]) -> None:
    name = getattr(method, "__name__", "")
    current().charge(len(owner))
    if name == "join" and args:
        joined(owner, args[0])
    elif name == "replace" and len(args) > 1:
        replaced(owner, args[0], args[1])


class _Bundle(jinja2.BaseLoader):
    """Loads includes from texts that were read when the prompt was."""

    def __init__(self, load: Loader) -> None:
        self._load = load

    def load(
        self,
        environment: jinja2.Environment,
        name: str,
        globals: object = None,  # noqa: A002  # Jinja's name
    ) -> Template:
        del environment, globals
        return self._load(name)


def environment(filters: Filters, load: Loader | None = None) -> jinja2.Environment:
    """A sandbox.

    Args:
        filters: The prompt's own filters.
        load: Gives what templates include.
    """
    made = _Sandbox(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
        loader=_Bundle(load) if load else None,
    )
    made.globals = dict(GLOBALS)
    made.filters = {**_shared_filters(), **{name: _own(name, pattern) for name, pattern in filters}}
    made.tests = {name: JINJA_TESTS[name] for name in TESTS}
    return made


def template_of(sandbox: jinja2.Environment, tree: nodes.Template, path: str) -> Template:
    """Compile a template.

    Args:
        sandbox: Where it will run.
        tree: What it says, with its work counted.
        path: Its file, for messages.

    Raises:
        RenderError: When it is too deeply nested for that.
    """
    try:
        code = sandbox.compile(tree, path, path)
        return sandbox.template_class.from_code(sandbox, code, dict(GLOBALS))
    except (jinja2.TemplateError, SyntaxError, RecursionError, MemoryError, OverflowError) as error:
        raise RenderError(f"{path}: the template cannot be compiled: {error}", hint="make it simpler") from None


def fill(template: Template, values: JsonObject, meter: Meter, line: int) -> str:
    """Fill a template.

    Args:
        template: The template.
        values: Plain values by name.
        meter: Counts its work.
        line: The line of the file on which the template starts.

    Raises:
        RenderError: When a value is missing, or the template does what it may not.
    """
    try:
        return metered(meter, lambda: _joined(template.root_render_func(template.new_context(values)), meter))
    except RenderError as error:
        place = _place(error.__traceback__, template, line)
        raise RenderError(f"{place}: {error.message}", hint=error.hint) from error.__cause__
    except _FAILURES as error:
        place = _place(error.__traceback__, template, line)
        words = "it calls itself without end" if isinstance(error, RecursionError) else str(error) or "out of memory"
        raise RenderError(f"{place}: {words}") from None


def _joined(chunks: Iterator[str], meter: Meter) -> str:
    """All that a template writes, measured before it is put together: a chunk may be a large value, many times."""
    texts = []
    while taken := list(islice(chunks, _CHUNKS)):
        size = sum(map(len, taken))
        meter.charge(size)
        meter.left_to_write -= size
        if meter.left_to_write < 0:
            raise ExhaustedError(f"it writes more than {meter.limits.output} characters")
        texts.append("".join(taken))
        if len(taken) < _CHUNKS:
            break
    return texts[0] if len(texts) == 1 else "".join(texts)


def _place(trace: TracebackType | None, template: Template, line: int) -> str:
    """Where in the templates something failed: the innermost place that is known."""
    place = template.name or ""
    while trace:
        found = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(found, jinja2.Template):
            number = found.get_corresponding_lineno(trace.tb_lineno)
            place = f"{found.name}:{number + line - 1 if found is template else number}"
        trace = trace.tb_next
    return place


def _written(value: object) -> str:
    """What ``{{ value }}`` writes."""
    if value.__class__ is str:
        return value
    if value.__class__ in _NUMBERS:
        return str(value)
    if not isinstance(value, _PLAIN) and not isinstance(value, Undefined):
        hint = "add |list or |join" if isinstance(value, Iterable) else "call it, or write something else"
        raise RenderError(f"a {type(value).__name__} stands where text is expected", hint=hint)
    current().weigh(value)
    _refuse_undefined(value)
    return str(value)


def _refuse_undefined(value: object) -> None:
    """A list with a hole in it is no text; Jinja would write ``Undefined``."""
    if isinstance(value, Undefined):
        str(value)  # raises
    elif isinstance(value, list | tuple | dict):
        for member in value.values() if isinstance(value, dict) else value:
            _refuse_undefined(member)


def _own(name: str, pattern: str) -> Callable[..., object]:
    return (lambda value: apply_format(name, pattern, value)) if pattern else brought(name)


@lru_cache(maxsize=1)
def _shared_filters() -> dict[str, Callable[..., object]]:
    found: dict[str, Callable[..., object]] = {name: _paid(FILTERS[name], GUARDS.get(name)) for name in SAFE}
    return {
        **found,
        **OWN,
        LOOP: over,
        CONCAT: _concat,
        WEIGH: _weighed,
        CHARGE: pass_context(_charge),
        WRITTEN: _written,
    }


def _paid(function: Callable[..., object], guard: Callable[..., None] | None) -> Callable[..., object]:
    """A filter that pays for what it is given and what it gives."""
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    def paid(*args: object, **kwargs: object) -> object:
        meter = current()
        args = (*args[:skipped], _sized(args[skipped]), *args[skipped + 1 :])
        for one in args[skipped:]:
            meter.weigh(one)
        if guard:
            guard(*args[skipped:], **kwargs)
        result = function(*args, **kwargs)
        meter.weigh(result)
        return result

    return update_wrapper(paid, function)


def _sized(value: object) -> object:
    """What gives its members one by one, as the list of them; it is not known otherwise how many there are."""
    is_stream = isinstance(value, Iterator) and not isinstance(value, _OPEN)
    return list(cast("Iterable[object]", over(value, 1))) if is_stream else value


def _concat(*parts: object) -> str:
    texts = [_written(part) for part in parts]
    current().charge(sum(map(len, texts)))
    return "".join(texts)


def _weighed(value: object) -> object:
    current().weigh(value)
    return value


def _charge(context: Context, steps: int) -> str:
    del context
    current().charge(steps)
    return ""
