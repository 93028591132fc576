"""The work that a template does, counted while it does it, so that none can run for ever or fill the memory.

Nothing inside of one Python process can stop a single operation once it has started. So operations whose cost depends
on a template are paid for before they start, in steps: a character written, a member visited, a turn of a loop. The
clock is read now and then as well. Not counted, and not stopped: functions that the application brings as filters.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

__all__ = [
    "ExhaustedError",
    "Limits",
    "Meter",
    "current",
    "formatted",
    "joined",
    "metered",
    "over",
    "power",
    "product",
    "replaced",
    "total",
    "weigh",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the rendering of one prompt may go.

    Attributes:
        output: Characters of all messages together.
        steps: Characters written and members visited on the way, in loops that write nothing as well.
        seconds: Time, which is asked for about every ten thousand steps.
    """

    output: int = 1 << 20
    steps: int = 10_000_000
    seconds: float = 5.0


class ExhaustedError(Exception):
    """A template wants more than it may have."""


_BETWEEN_CLOCKS = 10_000
_MAX_BITS = 4096
_CONTAINERS = (list, tuple, dict)


class Meter:
    """Steps that are left.

    Args:
        limits: How far it may go.
        filters: The functions that the application brings, by name.
    """

    __slots__ = ("_clock", "_end", "_left", "filters", "left_to_write", "limits")

    def __init__(self, limits: Limits, filters: Mapping[str, object]) -> None:
        self.limits = limits
        self.filters = filters
        self.left_to_write = limits.output
        self._left = limits.steps
        self._clock = limits.steps - _BETWEEN_CLOCKS
        self._end = time.monotonic() + limits.seconds

    def charge(self, steps: int) -> None:
        """Pay for work.

        Raises:
            ExhaustedError: When there is not enough left.
        """
        self._left -= steps
        if self._left < self._clock:
            self._look_at_the_clock()

    def weigh(self, value: object) -> None:
        """Pay for looking at all of a value.

        Raises:
            ExhaustedError: When there is not enough left.
        """
        self.charge(weigh(value, self._left + 1))

    def _look_at_the_clock(self) -> None:
        if self._left < 0:
            raise ExhaustedError(f"the template does more than {self.limits.steps} steps of work")
        if time.monotonic() > self._end:
            raise ExhaustedError(f"the template takes longer than {self.limits.seconds:g} seconds")
        self._clock = max(self._left - _BETWEEN_CLOCKS, 0)


_METER: ContextVar[Meter | None] = ContextVar("kitpack_meter", default=None)
_get = _METER.get


def current() -> Meter:
    """The meter of the rendering that is going on; outside of one, such as while a template is compiled, a new one."""
    return _get() or Meter(Limits(steps=100_000), {})


def metered(meter: Meter, work: Callable[[], T]) -> T:
    """Do work whose steps a meter counts.

    Args:
        meter: The meter.
        work: What to do.
    """
    token = _METER.set(meter)
    try:
        return work()
    finally:
        _METER.reset(token)


def weigh(value: object, most: int) -> int:
    """How large a value is when it is written out: its characters and members; about ``most`` when it is larger.

    Args:
        value: A value. What refers to one thing many times counts it as many times.
        most: Where to stop.
    """
    if isinstance(value, str):
        return len(value) + 1
    if isinstance(value, range):
        return len(value)
    if isinstance(value, int):
        return 1 + value.bit_length() // 8
    if not isinstance(value, _CONTAINERS):
        return 1
    weight, stack = 1, [value]
    while stack and weight <= most:
        found = stack.pop()
        weight += len(found) + 1
        members = [*found, *found.values()] if isinstance(found, dict) else found
        for member in members:
            if isinstance(member, _CONTAINERS):
                stack.append(member)
            elif isinstance(member, str):
                weight += len(member)
    return weight


def over(members: object, weight: int) -> object:
    """What a loop goes over, paid for: a turn costs ``weight``."""
    meter = current()
    if isinstance(members, Sized):
        meter.charge(len(members) * weight)
        return members
    return _one_by_one(members, weight, meter) if isinstance(members, Iterable) else members


def _one_by_one(members: Iterable[object], weight: int, meter: Meter) -> Iterator[object]:
    for member in members:
        meter.charge(weight)
        yield member


def product(left: object, right: object) -> None:
    """Pay for ``left * right``."""
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
    elif isinstance(left, int) or isinstance(right, int):
        times, repeated = (left, right) if isinstance(left, int) else (right, left)
        meter = current()
        weight = weigh(repeated, meter.limits.steps)
        meter.charge(max(int(times), 0) * weight if isinstance(times, int) else 0)


def power(left: object, right: object) -> None:
    """Pay for ``left ** right``."""
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() * abs(right))


def total(left: object, right: object) -> None:
    """Pay for ``left + right``."""
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(max(left.bit_length(), right.bit_length()) + 1)
    elif not isinstance(left, float):
        meter = current()
        meter.weigh(left)
        meter.weigh(right)


_WIDTH = re.compile(r"[#0\- +]*(\*|[0-9]*)(?:\.(\*|[0-9]*))?")


def formatted(text: object, values: object) -> None:
    """Pay for ``text % values``."""
    if not isinstance(text, str):
        return
    meter, widths = current(), list(_widths(text))
    if any(width == "*" or len(width) > 4 for width in widths):
        raise ExhaustedError("a format asks for a width of more than 9999 characters")
    meter.charge(len(text) + sum(int(width) for width in widths if width))
    meter.charge((text.count("%") + 1) * weigh(values, meter.limits.steps))


def _widths(text: str) -> Iterator[str]:
    """The widths and precisions that a format asks for."""
    at = text.find("%")
    while at >= 0:
        at = _after_key(text, at + 1)
        found = _WIDTH.match(text, at)
        if found:
            yield from (width for width in found.groups() if width)
            at = found.end()
        at = text.find("%", at + text.startswith("%", at))


def _after_key(text: str, at: int) -> int:
    """Where a key such as ``(name)`` ends; parentheses inside of it count, and one that never ends takes the rest."""
    opened = 0
    for index in range(at, len(text)):
        opened += {"(": 1, ")": -1}.get(text[index], 0)
        if not opened:
            return index + (text[index] == ")")
    return len(text)


def joined(separator: object, members: object) -> None:
    """Pay for joining members."""
    meter = current()
    meter.weigh(members)
    if isinstance(members, Sized) and isinstance(separator, str):
        meter.charge(len(separator) * len(members))


def replaced(text: str, old: object, new: object) -> None:
    """Pay for replacing every ``old`` in a text."""
    meter = current()
    meter.charge(len(text))
    if isinstance(old, str) and isinstance(new, str):
        meter.charge((text.count(old)) * len(new))


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise ExhaustedError(f"a number of more than {_MAX_BITS} bits")
