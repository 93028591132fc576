"""An answer in OpenTelemetry's words."""

from __future__ import annotations

from kitpack.runtime import telemetry
from kitpack.runtime.calling.reply import Reply
from kitpack.runtime.telemetry import Attribute

__all__ = ["reply_attributes"]


def reply_attributes(reply: Reply) -> dict[str, Attribute]:
    """Who answered, why it stopped and what it cost, by the names of the convention; what is not known is left out.

    The texts are not among them: what was said stays between the application and the model.
    """
    usage = reply.usage
    words = {
        telemetry.OPERATION: "chat",
        telemetry.PROVIDER: reply.provider,
        telemetry.REQUEST_MODEL: reply.requested,
        telemetry.RESPONSE_MODEL: reply.model,
        telemetry.RESPONSE_ID: reply.id,
    }
    counts = {
        telemetry.USAGE_INPUT: usage.input,
        telemetry.USAGE_OUTPUT: usage.output,
        telemetry.USAGE_CACHED: usage.cached,
        telemetry.USAGE_CACHE_WRITTEN: usage.cache_written,
        telemetry.USAGE_REASONING: usage.reasoning,
    }
    found: dict[str, Attribute] = {name: word for name, word in words.items() if word}
    found.update({name: number for name, number in counts.items() if number is not None})
    found[telemetry.RESPONSE_FINISH_REASONS] = [reply.raw_finish_reason or reply.finish_reason]
    return found
