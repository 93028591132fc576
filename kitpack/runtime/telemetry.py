"""OpenTelemetry's names for what was served, and the current span annotated with them.

Nothing here needs OpenTelemetry: the names are text, and a span can only be current in a process that has loaded the
library already. Where it was not loaded, there is nothing to annotate.

Spec: https://github.com/open-telemetry/semantic-conventions-genai (status: development)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Protocol, TypeAlias, cast

from kitpack.oci.jsontext import Json
from kitpack.runtime.identity import Identity

__all__ = ["CONVENTION", "Attribute", "annotate_span", "identity_attributes", "request_attributes", "value_attributes"]

CONVENTION = "semantic-conventions-genai 2026-05"
"""The state of the conventions that these names are from; they are not stable yet."""

PROMPT_NAME = "gen_ai.prompt.name"
PROMPT_VERSION = "gen_ai.prompt.version"
PROMPT_VARIABLE = "gen_ai.prompt.variable."
REQUEST_MODEL = "gen_ai.request.model"
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
USAGE_INPUT = "gen_ai.usage.input_tokens"
USAGE_OUTPUT = "gen_ai.usage.output_tokens"
USAGE_CACHED = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITTEN = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens"
BUNDLE_REFERENCE = "kitpack.bundle.ref"
BUNDLE_DIGEST = "kitpack.bundle.digest"
PROMPT_DIGEST = "kitpack.prompt.digest"
PROMPT_FINGERPRINT = "kitpack.prompt.fingerprint"
PROMPT_ENGINE = "kitpack.prompt.engine"

_REQUEST = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "stop": "gen_ai.request.stop_sequences",
}
_PATTERN_SIGNS = frozenset("*?[")

Attribute: TypeAlias = str | int | float | bool | list[str]


class _Span(Protocol):
    def set_attributes(self, attributes: Mapping[str, Attribute]) -> None: ...


class _Trace(Protocol):
    def get_current_span(self) -> _Span: ...


def identity_attributes(identity: Identity) -> dict[str, Attribute]:
    """What was served, by the names of the convention; what is not known is left out."""
    known = {
        PROMPT_NAME: identity.prompt_name,
        PROMPT_VERSION: identity.prompt_version,
        BUNDLE_REFERENCE: identity.bundle_reference,
        BUNDLE_DIGEST: identity.bundle_digest,
        PROMPT_DIGEST: identity.prompt_digest,
        PROMPT_FINGERPRINT: identity.fingerprint,
        PROMPT_ENGINE: identity.engine,
    }
    return {name: value for name, value in known.items() if value}


def request_attributes(model: str, parameters: Mapping[str, Json]) -> dict[str, Attribute]:
    """What a model is asked with, for the span of the call: its name where it is one, and the known parameters.

    Args:
        model: The target of a prompt; a glob and ``bundle`` are no names of models.
        parameters: Its sampling parameters.
    """
    found: dict[str, Attribute] = {}
    if model and model != "bundle" and not _PATTERN_SIGNS & set(model):
        found[REQUEST_MODEL] = model
    for name, value in parameters.items():
        if name not in _REQUEST:
            continue
        if name == "stop":
            found[_REQUEST[name]] = [str(one) for one in value] if isinstance(value, list) else [str(value)]
        elif isinstance(value, str | int | float):
            found[_REQUEST[name]] = value
    return found


def value_attributes(values: Mapping[str, Json]) -> dict[str, Attribute]:
    """Values that somebody asked to have recorded, as text: what is no text is written as JSON."""
    import json

    return {
        PROMPT_VARIABLE + name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for name, value in values.items()
    }


def annotate_span(attributes: Mapping[str, Attribute]) -> bool:
    """Set attributes of the current span, if this process has any.

    Returns:
        Whether OpenTelemetry is loaded.
    """
    trace = cast("_Trace | None", sys.modules.get("opentelemetry.trace"))
    if trace is None:
        return False
    trace.get_current_span().set_attributes(attributes)
    return True
