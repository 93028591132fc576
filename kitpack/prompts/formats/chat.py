"""Chat files: a list of messages in JSON or YAML, or a mapping with ``messages`` and the keys of front matter.

The content of each message is a Jinja template.
"""

from __future__ import annotations

from kitpack.document.faults import Faults, Kind
from kitpack.document.jsontext import read_json
from kitpack.document.tree import Items, locate
from kitpack.document.yamltext import read_yaml
from kitpack.oci.jsontext import JsonObject
from kitpack.prompts.frontmatter import Said, Written, checked
from kitpack.prompts.keys import KEYS, MESSAGE, object_of, text_of
from kitpack.prompts.prompt import Message

__all__ = ["read_chat"]

_MESSAGES: JsonObject = {"type": "array", "minItems": 1, "items": MESSAGE}
_SHAPE: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["messages"],
    "properties": {
        **{key: shape for key, shape in object_of(KEYS["properties"]).items() if key != "role"},
        "messages": _MESSAGES,
    },
}


def read_chat(text: str, faults: Faults, *, is_json: bool) -> Written | None:
    """Read a chat file; None, and faults, when it is not one.

    Args:
        text: Its text.
        faults: Takes what is wrong.
        is_json: Whether it is JSON; else it is YAML.
    """
    kind = Kind(noun="a chat file", max_size=4 << 20, empty="write a list of messages: `- {role: user, content: …}`")
    root = (read_json if is_json else read_yaml)(text, kind, faults)
    if root is None:
        return None
    bare = isinstance(root, Items)
    said = checked(root, _MESSAGES if bare else _SHAPE, faults)
    if faults.issues or said is None:
        return None
    data = dict(said.data)
    listed = data.pop("messages", [])
    way: tuple[str, ...] = () if bare else ("messages",)
    lines = text.split("\n")
    messages = [
        Message(
            role=text_of(one.get("role")),
            template=text_of(one.get("content")),
            line=_line(lines, *locate(root, (*way, index, "content"))),
        )
        for index, one in enumerate(listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    ]
    return Written(messages=tuple(messages), said=Said(data=data, root=None if bare else root))


def _line(lines: list[str], line: int, column: int) -> int:
    """The line on which a text starts: the one below when YAML writes it as a block."""
    return line + (lines[line - 1][column - 1 : column] in ("|", ">"))
