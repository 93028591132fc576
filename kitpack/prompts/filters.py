"""The filters that templates may use: which of Jinja's are safe, what they cost, and those that a prompt brings itself.

Left out are Jinja's filters that give another result each time (``random``), that reach into Python (``attr``), or
that write HTML (``xmlattr``, ``urlize``, ``pprint``). ``tojson`` writes JSON as a model should read it, without HTML's
escapes; ``escape`` and ``safe`` give plain text.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from string import Formatter

from kitpack.errors import RenderError
from kitpack.oci.jsontext import Json
from kitpack.prompts.meter import ExhaustedError, current, formatted, joined, replaced, weigh

__all__ = ["GUARDS", "OWN", "SAFE", "apply_format", "brought", "format_fault"]

SAFE = frozenset(
    {
        "abs",
        "batch",
        "capitalize",
        "center",
        "count",
        "d",
        "default",
        "dictsort",
        "filesizeformat",
        "first",
        "float",
        "format",
        "groupby",
        "indent",
        "int",
        "items",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "select",
        "selectattr",
        "slice",
        "sort",
        "string",
        "striptags",
        "sum",
        "title",
        "trim",
        "truncate",
        "unique",
        "upper",
        "urlencode",
        "wordcount",
        "wordwrap",
    }
)
"""Jinja's filters that are offered as they are, once their work is paid for."""

_MAX_PLACES = 100


def apply_format(name: str, pattern: str, value: object) -> str:
    """What a filter of a prompt's own makes of a value: ``"${:,.2f}"`` and 3 make ``$3.00``.

    Raises:
        RenderError: When the format does not fit the value.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise RenderError(f"the filter {name} formats text and numbers, not {type(value).__name__}")
    try:
        return pattern.format(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise RenderError(f"the filter {name} cannot format {str(value)[:40]!r} as {pattern!r}: {error}") from None


def format_fault(pattern: str) -> str:
    """What is wrong with the format string of a filter; an empty string for a good one."""
    try:
        places = [(name, spec, kind) for _, name, spec, kind in Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        return f"{pattern[:80]!r} is no format string: {error}"
    if len(places) != 1:
        return f"{pattern[:80]!r} has {len(places)} places for a value; a filter formats one"
    name, spec, kind = places[0]
    if name not in ("", "0") or kind:
        return f"the place {{{name}{'!' + kind if kind else ''}}} is not allowed; write {{}} or {{:.2f}}"
    digits = "".join(sign if sign.isdecimal() else " " for sign in spec or "").split()
    if "{" in (spec or "") or any(len(one) > 2 for one in digits):
        return f"{pattern[:80]!r} asks for more than 99 characters"
    return ""


def brought(name: str) -> Callable[..., object]:
    """A filter that the application brings: the function is looked up when it is used."""

    def apply(value: object, *args: object, **kwargs: object) -> object:
        function = current().filters.get(name)
        if not callable(function):
            raise RenderError(f"the filter {name} is not there", hint=f"render(…, filters={{{name!r}: function}})")
        try:
            return function(value, *args, **kwargs)
        except Exception as error:
            raise RenderError(f"the filter {name} failed: {type(error).__name__}: {error}") from error

    return apply


def _center(_value: object, width: int = 80) -> None:
    current().charge(max(int(width), 0))


def _indent(value: object, width: int | str = 4, *_: object, **__: object) -> None:
    each = len(width) if isinstance(width, str) else max(int(width), 0)
    current().charge((str(value).count("\n") + 1) * each)


def _wordwrap(value: object, *args: object, **kwargs: object) -> None:
    text, wrap = str(value), str(kwargs.get("wrapstring") or (args[2] if len(args) > 2 else ""))
    width = int(str(kwargs.get("width") or (args[0] if args else 79)))
    longest = max(map(len, text.split()), default=0)  # which is cut again and again
    current().charge(len(text) * (1 + len(wrap) + longest // max(width, 1)))


def _replace(value: object, old: object, new: object, *_: object, **__: object) -> None:
    replaced(str(value), str(old), str(new))


def _join(value: object, d: object = "", *_: object, **__: object) -> None:
    joined(str(d), value)


def _batch(_value: object, linecount: int = 0, fill_with: object = None, *, slices: int = 0) -> None:
    current().charge(max(int(linecount), int(slices), 0) * weigh(fill_with, current().limits.steps))


def _round(_value: object, precision: int = 0, *_: object, **__: object) -> None:
    if abs(int(precision)) > _MAX_PLACES:
        raise ExhaustedError(f"round({precision}) asks for more than {_MAX_PLACES} places")


def _sum(_iterable: object, _attribute: object = None, start: object = 0, **__: object) -> None:
    if not isinstance(start, int | float):
        raise ExhaustedError("sum adds numbers; join puts texts together")


def _format(value: object, *args: object, **kwargs: object) -> None:
    formatted(str(value), kwargs or args)


GUARDS: Mapping[str, Callable[..., None]] = {
    "center": _center,
    "indent": _indent,
    "wordwrap": _wordwrap,
    "replace": _replace,
    "join": _join,
    "batch": _batch,
    "slice": _batch,
    "round": _round,
    "sum": _sum,
    "format": _format,
}
"""What is asked before a filter whose result may be far larger than its input."""


def _tojson(value: Json, indent: int | None = None) -> str:
    spaces = min(int(indent), 16) if indent else None
    current().charge(weigh(value, current().limits.steps) * ((spaces or 0) + 1))
    return json.dumps(value, ensure_ascii=False, indent=spaces)


def _escape(value: object) -> str:
    current().weigh(value)
    return html.escape(str(value))


def _safe(value: object) -> str:
    current().weigh(value)
    return str(value)


OWN: Mapping[str, Callable[..., str]] = {"tojson": _tojson, "escape": _escape, "e": _escape, "safe": _safe}
"""Filters that take the place of Jinja's."""
