"""YAML and JSON of other tools as plain values, with the faults of prompts."""

from __future__ import annotations

from kitpack.document.faults import Faults, Kind
from kitpack.document.tree import to_json
from kitpack.document.yamltext import read_yaml
from kitpack.errors import Issue, PromptError
from kitpack.oci.jsontext import Json, parse_object

__all__ = ["read_json", "read_tree"]


def read_tree(text: str, path: str) -> Json:
    """Read a YAML document.

    Raises:
        PromptError: With all of its faults.
    """
    kind = Kind(noun="document")
    faults = Faults(path)
    root = read_yaml(text, kind, faults)
    data = to_json(root, {}, {}, faults.add) if root else None
    if faults.issues:
        raise PromptError(faults.issues)
    return data


def read_json(raw: bytes, path: str) -> Json:
    """Read a JSON document of any kind.

    Raises:
        PromptError: When it is none.
    """
    try:
        found = parse_object(b'{"found":' + raw.removeprefix(b"\xef\xbb\xbf") + b"}")
        if len(found) > 1:
            raise ValueError("text stands after the value")
        return found["found"]
    except ValueError as error:
        message = f"it is not JSON that can be trusted: {error}"
        raise PromptError([Issue(path=path, message=message, hint="export it again, or mend it by hand")]) from None
