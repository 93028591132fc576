"""The Kitfile's schema."""

from __future__ import annotations

import pkgutil
from functools import cache
from pathlib import Path

from kitpack.document.fastcheck import Check, quick_check
from kitpack.oci.jsontext import JsonObject, parse_object

__all__ = ["NOT_PACKED", "definition", "kitfile_schema", "plainly_fits"]

NOT_PACKED = {
    "mcpServers": "kitpack does not pack MCP servers",
    "remotePath": "kitpack does not pack data that stays in a bucket",
    "remoteHash": "kitpack does not pack data that stays in a bucket",
    "digest": "the digest of a layer is found out by packing",
    "diffId": "the digest of a layer is found out by packing",
}
"""Keys that other tools know and kitpack does not, and why."""

_SCHEMA_NAME = "kitfile.schema.json"


@cache
def kitfile_schema() -> JsonObject:
    """The one schema: beside this module in an installed kitpack, at the root in a checkout."""
    try:
        shipped = pkgutil.get_data("kitpack.kitfile", _SCHEMA_NAME)
    except FileNotFoundError:
        shipped = None
    return parse_object(shipped or (Path(__file__).parents[2] / _SCHEMA_NAME).read_bytes())


@cache
def plainly_fits() -> Check:
    """Says yes to most good Kitfiles, long before the full check would; a no means nothing."""
    return quick_check(kitfile_schema(), definition("")) or (lambda _: False)


def definition(name: str) -> JsonObject:
    """A part of the schema by its name under ``$defs``; all of them for an empty name."""
    parts = kitfile_schema()["$defs"]
    found = parts[name] if name and isinstance(parts, dict) else parts
    return found if isinstance(found, dict) else {}
