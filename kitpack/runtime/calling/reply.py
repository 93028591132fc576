"""What a model answered, in one shape for all endpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.runtime.identity import Identity

__all__ = ["FINISH_REASONS", "Chunk", "FinishReason", "Reply", "ToolCall", "Usage"]

FinishReason: TypeAlias = Literal["stop", "length", "content_filter", "tool_calls", "other", "unknown"]
"""Why a model stopped, in OpenAI's words. ``other`` is a reason only its endpoint knows, ``unknown`` is none given."""

FINISH_REASONS: tuple[FinishReason, ...] = ("stop", "length", "content_filter", "tool_calls", "other", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as the endpoint counted them; None where it says nothing.

    Attributes:
        input: What was read, cached or not.
        output: What was written, reasoning included.
        cached: The part of the input that came from a cache.
        cache_written: The part of the input that was written to a cache.
        reasoning: The part of the output that was reasoning.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool that the model wants called. It is never called here.

    Attributes:
        id: What the answer to it has to name.
        name: The tool.
        arguments: What to call it with; empty when that is not a JSON object.
        text: The arguments as the model wrote them.
    """

    id: str
    name: str
    arguments: JsonObject = field(default_factory=dict, hash=False)
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        text: What the model said.
        reasoning: What it thought aloud before, where the endpoint shows that.
        refusal: What it said instead of an answer, where the endpoint keeps that apart.
        model: The model as the endpoint names it; empty when it names none.
        requested: The model that was asked for.
        provider: Who was asked, see :attr:`kitpack.runtime.calling.provider.Provider.name`.
        finish_reason: Why it stopped.
        raw_finish_reason: The same in the endpoint's own word.
        usage: Tokens.
        tool_calls: Tools it wants called.
        id: The endpoint's name for this answer.
        latency: Seconds from the first byte sent to the last byte received, without earlier tries.
        first_chunk: Seconds to the first text of a stream; None when it was none.
        tries: How often it had to be asked.
        model_mismatch: How the model that answered differs from the one asked for, or from the prompt's target; empty
            when it does not.
        identity: Which prompt was answered; None when it was none of a bundle's.
        data: The answer as JSON, where the prompt has a schema for it and it is JSON; else None.
        output_faults: How the answer differs from that schema; empty when it does not, or there is none.
        ignored: Parameters that this API has no counterpart for, and that were not sent.
        raw: The answer as it came; of a stream, what it adds up to, in the shape of an answer that is none.
    """

    text: str
    reasoning: str = ""
    refusal: str = ""
    model: str = ""
    requested: str = ""
    provider: str = ""
    finish_reason: FinishReason = "unknown"
    raw_finish_reason: str = ""
    usage: Usage = Usage()
    tool_calls: tuple[ToolCall, ...] = ()
    id: str = ""
    latency: float = 0.0
    first_chunk: float | None = None
    tries: int = 1
    model_mismatch: str = ""
    identity: Identity | None = None
    data: Json = field(default=None, hash=False)
    output_faults: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    raw: JsonObject = field(default_factory=dict, repr=False, hash=False)

    @property
    def truncated(self) -> bool:
        """Whether it ends because a limit was reached, not because the model was done."""
        return self.finish_reason == "length"

    def to_dict(self) -> dict[str, Json]:
        """The answer for machines, without what the endpoint said word by word."""
        usage = self.usage
        return {
            "text": self.text,
            "reasoning": self.reasoning,
            "refusal": self.refusal,
            "model": self.model,
            "requested": self.requested,
            "provider": self.provider,
            "finishReason": self.finish_reason,
            "rawFinishReason": self.raw_finish_reason,
            "truncated": self.truncated,
            "modelMismatch": self.model_mismatch,
            "outputFaults": list(self.output_faults),
            "ignored": list(self.ignored),
            "toolCalls": [
                {"id": one.id, "name": one.name, "arguments": one.arguments, "text": one.text}
                for one in self.tool_calls
            ],
            "usage": {
                "input": usage.input,
                "output": usage.output,
                "cached": usage.cached,
                "cacheWritten": usage.cache_written,
                "reasoning": usage.reasoning,
            },
            "id": self.id,
            "latency": round(self.latency, 3),
            "firstChunk": None if self.first_chunk is None else round(self.first_chunk, 3),
            "tries": self.tries,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of an answer that is still arriving.

    Attributes:
        text: What was said since the last piece.
        reasoning: What was thought aloud since the last piece.
        reply: The whole answer; only in the last piece, which has no text.
    """

    text: str = ""
    reasoning: str = ""
    reply: Reply | None = None
