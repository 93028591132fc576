"""What a release has to pass before it goes live, as its author or its operators write it down.

A Kitfile says it under ``policy:``; a file ``kitpack.yaml`` says the same where releases are made, and counts instead::

    channels:
      production:
        gates: [changelog, rollback-target, {token-growth: 10}, {live-in: staging}]
      "*":
        gates: [lint]
"""

from __future__ import annotations

from pathlib import Path

from kitpack.document.faults import Faults, Kind, decoded
from kitpack.document.schema import validate
from kitpack.document.tree import locate, to_json
from kitpack.document.yamltext import read_yaml
from kitpack.errors import KitfileError
from kitpack.kitfile.paths import read_bounded
from kitpack.kitfile.schema import definition, kitfile_schema
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["POLICY_NAME", "gates_of", "load_policy", "parse_policy"]

POLICY_NAME = "kitpack.yaml"
"""The file that says what releases have to pass, in the folder where they are made."""

_KIND = Kind(noun="a policy", too_large="a policy names the gates of channels", empty="write `channels:` in it")


def load_policy(path: Path) -> dict[str, dict[str, Json]]:
    """Read a policy from disk.

    Raises:
        KitfileError: With all of its faults.
        OSError: When it cannot be read.
    """
    return parse_policy(read_bounded(path, _KIND.max_size), str(path))


def parse_policy(raw: bytes, name: str) -> dict[str, dict[str, Json]]:
    """Read a policy.

    Args:
        raw: Its exact bytes.
        name: The file as the user would type it; stands in the faults.

    Raises:
        KitfileError: With all of its faults.
    """
    faults = Faults(name)
    text = decoded(raw, _KIND, faults)
    root = None if text is None else read_yaml(text, _KIND, faults)
    if root is None:
        raise KitfileError(faults.ordered())
    schema = {**definition("policy"), "$defs": kitfile_schema()["$defs"]}
    data = to_json(root, schema, definition(""), faults.add)
    faults.issues += validate(data, schema, lambda path, key: locate(root, path, key=key), name)
    if faults.issues:
        raise KitfileError(faults.ordered())
    return gates_of(data)


def gates_of(policy: Json) -> dict[str, dict[str, Json]]:
    """The gates of each channel, each with what it is told, from a policy without faults."""
    found: dict[str, dict[str, Json]] = {}
    for channel, about in _object(_object(policy).get("channels")).items():
        gates = _object(about).get("gates")
        found[channel] = {}
        for gate in gates if isinstance(gates, list) else []:
            found[channel].update(gate if isinstance(gate, dict) else {str(gate): None})
    return found


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
