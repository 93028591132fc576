"""What decides about the text that a model gets, as one digest.

The digest of a prompt's file covers its bytes. The fingerprint covers what they do: the messages, the includes, the
variables and filters, the parameters, tools and answer, and the version of the engine that fills them. Two prompts with
one fingerprint make the same text from the same values; what an author says about a prompt is not part of it.
"""

from __future__ import annotations

import json

from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.variables import JINJA

__all__ = ["engine_of", "fingerprint"]

_VERSION = 1


def fingerprint(prompt: Prompt) -> Digest:
    """The digest of everything in a prompt that has an effect."""
    value: JsonObject = {
        "fingerprint": _VERSION,
        "engine": engine_of(prompt),
        "format": prompt.format,
        "messages": [[message.role, message.template] for message in prompt.messages],
        "includes": {path: str(one.digest) for path, one in prompt.includes.items()},
        "parameters": prompt.parameters,
        "variables": prompt.variables,
        "output": prompt.output,
        "tools": prompt.tools,
        "filters": dict[str, Json](prompt.filters),
    }
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return Digest.of_bytes(text.encode())


def engine_of(prompt: Prompt) -> str:
    """What fills the templates of a prompt, with its version where it is not kitpack itself."""
    if prompt.format not in JINJA:
        return "kitpack 1"
    from kitpack.prompts.sandbox import ENGINE

    return ENGINE
