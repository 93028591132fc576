"""Whether the model that answered is the one that was meant.

Endpoints answer with other names than they were asked by, and rightly so: a family's name stands for its newest dated
version, a server names the file it loaded. What is left after that is reported, because a prompt was tuned for a model.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

__all__ = ["is_exact", "matches", "mismatch"]

_LONGEST = 300
_VERSION = re.compile(r"(?:[-@](?:20\d{2}-\d{2}-\d{2}|20\d{6}|[01]\d[0-3]\d)|[-:]latest)$")
_FILE = re.compile(r"\.(?:gguf|bin|safetensors)$")


def matches(wanted: str, found: str) -> bool:
    """Whether a model's name is the one wanted, or of the family wanted.

    Equal but for case; a match of the glob (``gpt-4.*``); the same family with a date (``gpt-4o`` and
    ``gpt-4o-2024-08-06``, ``claude-3-5-haiku-latest`` and ``claude-3-5-haiku-20241022``), unless both have one and they
    differ; the same but for a vendor or folder before it that nobody asked for (``openai/gpt-4o``, ``/models/a.gguf``).

    Args:
        wanted: A name or glob.
        found: A name.
    """
    wanted, found = _plain(wanted), _plain(found)
    if "/" not in wanted:
        found = found.rpartition("/")[2]
    if wanted == found or (not is_exact(wanted) and fnmatchcase(found, wanted)):
        return True
    (family, version), (found_family, found_version) = _split(wanted), _split(found)
    undated = {"", "latest"}
    return family == found_family and (version in undated or found_version in undated)


def is_exact(name: str) -> bool:
    """Whether it is the name of one model, which can be asked for, and no glob."""
    return bool(name) and not any(char in name for char in "*?[")


def mismatch(found: str, *, requested: str, target: str = "") -> str:
    """How the model that answered differs from what was meant; an empty string when it does not, or is not named.

    Args:
        found: The model as the endpoint names it.
        requested: The model that was asked for.
        target: What the prompt was tuned for: a name or glob; empty for anything.
    """
    if not found:
        return ""
    if requested and not matches(requested, found):
        return f"{requested[:_LONGEST]} was asked for, and {found[:_LONGEST]} answered"
    if target and not (matches(target, found) or (is_exact(requested) and matches(target, requested))):
        return f"the prompt is tuned for {target[:_LONGEST]}, and {found[:_LONGEST]} answered"
    return ""


def _plain(name: str) -> str:
    return _FILE.sub("", name.strip()[:_LONGEST].lower())


def _split(name: str) -> tuple[str, str]:
    """The family of a model, and its date or ``latest``."""
    found = _VERSION.search(name)
    return (name[: found.start()], found[0][1:].replace("-", "")) if found else (name, "")
