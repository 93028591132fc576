"""Numbers of versions: which comes next, and which is higher.

Two ways of counting are known. ``1.4.0`` says by its first number whether callers break
(https://semver.org/spec/v2.0.0.html); ``2026-03-15.3`` says when it was made, and the how manieth it was on that day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Literal, TypeAlias, get_args

from kitpack.errors import UsageError

__all__ = ["BUMPS", "Bump", "asks_for_major", "highest_version", "next_calver", "next_version"]

Bump: TypeAlias = Literal["patch", "minor", "major"]

BUMPS: tuple[Bump, ...] = get_args(Bump)

_NUMBER = r"(0|[1-9][0-9]{0,17})"
_SEMVER = re.compile(rf"v?{_NUMBER}\.{_NUMBER}(?:\.{_NUMBER})?(?:-([0-9A-Za-z.-]+))?(?:[+_][0-9A-Za-z._-]+)?")
_CALVER = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.([1-9][0-9]{0,8})")

_Parts: TypeAlias = tuple[int, int, int, bool]


def next_version(current: str, taken: Iterable[str], bump: Bump) -> str:
    """The next version that nobody has taken.

    Args:
        current: The version now, as the Kitfile says it; empty for none.
        taken: All versions there are; others names among them do not matter.
        bump: Which number goes up: that of the highest version, whoever has it.

    Raises:
        UsageError: When the version now is no such number.
    """
    known = [parts for one in taken if (parts := _parts(one)) and not _is_calver(one)]
    now = _parts(current)
    if current and now is None:
        raise UsageError(
            f"the version {current[:80]!r} is not counted as 1.4.0 is, so there is none after it",
            hint="write package.version in the Kitfile as MAJOR.MINOR.PATCH, or count by days with --calver",
        )
    if not known and now is None:
        return {"patch": "0.0.1", "minor": "0.1.0", "major": "1.0.0"}[bump]
    major, minor, patch, before = max((*known, *([now] if now else [])))
    raised = {"patch": (major, minor, patch + before), "minor": (major, minor + 1, 0), "major": (major + 1, 0, 0)}
    return ("v" if current.startswith("v") else "") + ".".join(map(str, raised[bump]))


def next_calver(day: date, taken: Iterable[str]) -> str:
    """The next version of a day, such as ``2026-03-15.3``."""
    found = (_CALVER.fullmatch(one) for one in taken)
    numbers = [int(match[2]) for match in found if match and match[1] == day.isoformat()]
    return f"{day.isoformat()}.{max(numbers, default=0) + 1}"


def highest_version(names: Iterable[str], *, below: str = "") -> str:
    """The highest version among names, whichever way it is counted; empty when there is none.

    Args:
        names: The names; those that are no versions do not matter.
        below: A version that they must be lower than.
    """
    limit = _order(below)
    found = [(order, one) for one in names if (order := _order(one)) and (not limit or order < limit) and one != below]
    return max(found, default=((), ""))[1]


def asks_for_major(before: str, after: str) -> bool:
    """Whether a change that breaks callers would need another first number than this one.

    Before 1.0.0 the second number counts. Days and names that are no numbers promise nothing, so everybody is told.
    """
    old, new = _parts(before), _parts(after)
    if old is None or new is None or _is_calver(before) or _is_calver(after):
        return True
    return new[:2] <= old[:2] if old[0] == 0 and new[0] == 0 else new[0] <= old[0]


def _parts(text: str) -> _Parts | None:
    """The numbers of a version, and whether it is a final one, which comes after its candidates."""
    match = _SEMVER.fullmatch(text)
    return (int(match[1]), int(match[2]), int(match[3] or 0), match[4] is None) if match else None


def _is_calver(text: str) -> bool:
    return _CALVER.fullmatch(text) is not None


def _order(text: str) -> tuple[int | str | bool, ...]:
    if match := _CALVER.fullmatch(text):
        return (1, match[1], int(match[2]))
    parts = _parts(text)
    return (0, *parts) if parts else ()
