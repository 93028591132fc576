"""Front matter: the YAML between two lines of dashes at the top of a prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kitpack.document.fastcheck import Check, quick_check
from kitpack.document.faults import Faults, Kind
from kitpack.document.schema import validate
from kitpack.document.tree import Fields, Node, locate, to_json
from kitpack.document.yamltext import read_yaml
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.keys import object_of
from kitpack.prompts.prompt import Message

__all__ = ["Said", "Written", "checked", "read_said", "split"]

_FENCE = re.compile(r"---[ \t]*(?:\n|\Z)")
_END = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)
_COMMENTS = re.compile(r"(?:(?:#[^\n]*|[ \t]*)\n)*")
_KIND = Kind(noun="front matter")
_QUICK: dict[int, Check | None] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an author says about a prompt.

    Attributes:
        data: The keys and their values.
        root: The same with its places; None when it stands in no file.
    """

    data: JsonObject = field(default_factory=dict)
    root: Node | None = None

    def place(self, *path: str | int) -> tuple[int, int]:
        """The line and column of the value at a path, or of the last thing above it that exists."""
        return locate(self.root, path) if self.root else (0, 0)

    def lines(self) -> dict[str, int]:
        """The line of each key."""
        members = self.root.members if isinstance(self.root, Fields) else {}
        return {key: name.line for key, (name, _) in members.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A prompt as its file says it, whatever the file's format.

    Attributes:
        messages: Its messages.
        said: What is said about it, in kitpack's own keys.
    """

    messages: tuple[Message, ...]
    said: Said


def split(text: str, *, comments: bool = False) -> tuple[str | None, str, int]:
    """Split a prompt at its front matter.

    Args:
        text: The text of the file; its lines end with a line feed only.
        comments: Whether lines of comments may stand above it.

    Returns:
        The front matter with everything above it, so that its lines keep their numbers, or None when there is none;
        the body; and the line on which the body starts. Front matter without an end is all of the text.
    """
    above = _COMMENTS.match(text) if comments else None
    start = above.end() if above else 0
    opening = _FENCE.match(text, start)
    if opening is None:
        return None, text, 1
    closing = _END.search(text, opening.end())
    if closing is None:
        return text, "", text.count("\n") + 1
    return text[: closing.start()], text[closing.end() :], text.count("\n", 0, closing.end()) + 1


def read_said(text: str, shape: JsonObject, faults: Faults, *, closed: bool = True) -> Said | None:
    """Read front matter.

    Args:
        text: The front matter, with its opening line.
        shape: A JSON Schema of what may stand there.
        faults: Takes what is wrong.
        closed: Whether its closing line was found.

    Returns:
        What it says; None when it cannot be read. What breaks the schema is a fault and returned all the same.
    """
    if not closed:
        hint = "close it with a line of three dashes; to have none, start the file with an empty line"
        faults.add(1, 1, "the front matter that starts here has no end", hint)
        return None
    root = read_yaml(text, _KIND, faults)
    if root is None:
        return None
    return checked(root, shape, faults)


def _fits(data: Json, shape: JsonObject) -> bool:
    """Whether it plainly does, as nearly all front matter; the full check takes a hundred times as long."""
    if id(shape) not in _QUICK:
        _QUICK[id(shape)] = quick_check(shape)  # the few shapes there are live as long as their modules
    check = _QUICK[id(shape)]
    return bool(check and check(data))


def checked(root: Node, shape: JsonObject, faults: Faults) -> Said | None:
    """Hold a tree against a schema, and read it as plain values."""
    data = to_json(root, shape, object_of(shape.get("$defs")), faults.add)
    if not _fits(data, shape):
        faults.issues += validate(data, shape, lambda path, key: locate(root, path, key=key), faults.name)
    if isinstance(data, list):
        data = {"messages": data}  # a chat file may be nothing but its messages
    return Said(data=data, root=root) if isinstance(data, dict) else None
