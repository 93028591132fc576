"""What is carried from one shape to another: a prompt before it has a file, and the outcome of a whole exchange."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["Draft", "Exported", "Files", "Imported", "Notation", "distinct", "file_stem"]

Notation: TypeAlias = Literal["text", "jinja", "braces"]
"""How the places for values are written in a file of kitpack's own."""

Files: TypeAlias = "tuple[tuple[str, bytes], ...]"
"""Files to be written: paths with forward slashes, relative to one folder, and their exact bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Prompts in files of kitpack's own.

    Attributes:
        files: The files to write: prompts, and the texts they take in.
        prompts: The paths of those that are prompts.
        notes: A sentence for everything that has no place here, or means something else than where it comes from.
    """

    files: Files
    prompts: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Prompts in the files of another tool.

    Attributes:
        files: The files to write.
        notes: A sentence for everything that the other tool cannot say.
    """

    files: Files
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A prompt that is about to be written.

    Attributes:
        name: How applications ask for it.
        messages: The role and the template of every message.
        notation: How the templates are written.
        keys: The keys of its front matter, but for the name, the format and the role.
    """

    name: str
    messages: tuple[tuple[str, str], ...]
    notation: Notation = "jinja"
    keys: JsonObject = field(default_factory=dict, hash=False)

    def value(self, key: str) -> Json:
        """A key of its front matter; None when it is not there."""
        return self.keys.get(key)


def file_stem(name: str) -> str:
    """The name of a file for a name of any kind: no path, no hidden file, nothing that a shell or a disk minds."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:100].rstrip("-._") or "prompt"


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The names in order, with numbers after those that stood there before; disks may not tell ``a`` from ``A``."""
    taken: set[str] = set()
    for name in names:
        number, free = 1, name
        while free.casefold() in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free.casefold())
        yield free
