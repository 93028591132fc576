"""A prompt that an application asks for, and what becomes of it with values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.fingerprint import engine_of, fingerprint
from kitpack.prompts.meter import Limits
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.render import Filter, Spoken, render
from kitpack.runtime.identity import Identity
from kitpack.runtime.logs import serving
from kitpack.runtime.telemetry import Attribute, identity_attributes, value_attributes

if TYPE_CHECKING:
    from kitpack.runtime.calling.prompted import Wishes
    from kitpack.runtime.calling.provider import Provider
    from kitpack.runtime.calling.reply import Chunk, Reply
    from kitpack.runtime.calling.wire import AsyncConnections, Connections

__all__ = ["Filters", "LoadedPrompt", "Rendered"]

Filters: TypeAlias = Mapping[str, Filter]
"""Functions that an application brings for the filters that prompts declare without a format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What is to be said to a model, and which prompt says it.

    Attributes:
        spoken: The messages in order.
        parameters: The sampling parameters that the prompt was tuned for.
        model: The model that it was tuned for: a name, a glob, ``bundle`` for the packed one, or empty.
        identity: Which prompt it is.
        output: A JSON Schema of the answer, if the author gave one.
        tools: Definitions of the tools a model may call, as written.
        values: The values it was filled with, where that was asked for; never those of sensitive variables.
    """

    spoken: tuple[Spoken, ...]
    parameters: JsonObject
    model: str
    identity: Identity
    output: JsonObject | None = None
    tools: Json = None
    values: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages as chat APIs take them: a fresh list of objects with ``role`` and ``content``."""
        return [{"role": one.role, "content": one.content} for one in self.spoken]

    @property
    def text(self) -> str:
        """What is said, without who says it: the messages one after another, a blank line between them."""
        return "\n\n".join(one.content for one in self.spoken)

    @property
    def attributes(self) -> dict[str, Attribute]:
        """Which prompt it is, and the values if they were asked for, as OpenTelemetry's attributes."""
        return {**identity_attributes(self.identity), **value_attributes(self.values)}

    def active(self) -> AbstractContextManager[None]:
        """Say that this is being served until the context ends.

        The current span of OpenTelemetry gets the attributes, and so do log records that pass an
        :class:`kitpack.runtime.logs.IdentityFilter`, in this thread or asyncio task and in the tasks it starts.
        """
        return serving(self.identity, value_attributes(self.values))

    def call(
        self, provider: Provider | str, wishes: Wishes | None = None, *, connections: Connections | None = None
    ) -> Reply:
        """Ask a model, and wait for its answer. See :func:`kitpack.runtime.calling.prompted.call_prompt`."""
        from kitpack.runtime.calling.prompted import call_prompt

        return call_prompt(self, provider, wishes, connections)

    async def acall(
        self, provider: Provider | str, wishes: Wishes | None = None, *, connections: AsyncConnections | None = None
    ) -> Reply:
        """As :meth:`call`, in an event loop."""
        from kitpack.runtime.calling.prompted import acall_prompt

        return await acall_prompt(self, provider, wishes, connections)

    def stream(
        self, provider: Provider | str, wishes: Wishes | None = None, *, connections: Connections | None = None
    ) -> Generator[Chunk, None, None]:
        """As :meth:`call`, handing out the answer as it arrives; the last piece has the whole reply."""
        from kitpack.runtime.calling.prompted import stream_prompt

        return stream_prompt(self, provider, wishes, connections)

    def astream(
        self, provider: Provider | str, wishes: Wishes | None = None, *, connections: AsyncConnections | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """As :meth:`stream`, in an event loop."""
        from kitpack.runtime.calling.prompted import astream_prompt

        return astream_prompt(self, provider, wishes, connections)


class LoadedPrompt:
    """A prompt of a loaded bundle.

    Args:
        prompt: The prompt.
        bundle: Its bundle; its name, version and digest become part of the prompt's identity.
        filters: Functions for the filters that it declares without a format.
        limits: How much text and time a rendering may take.
    """

    def __init__(
        self, prompt: Prompt, bundle: Identity, *, filters: Filters | None = None, limits: Limits | None = None
    ) -> None:
        self.prompt = prompt
        self._bundle = bundle
        brought = {name for name, pattern in prompt.filters.items() if not pattern}
        self._filters = {name: function for name, function in (filters or {}).items() if name in brought}
        self._limits = limits or Limits()

    def __repr__(self) -> str:
        return f"LoadedPrompt({self.name!r}, {self._bundle.bundle_reference!r})"

    @property
    def name(self) -> str:
        """How applications ask for it."""
        return self.prompt.name

    @property
    def variables(self) -> JsonObject:
        """A JSON Schema of the values it takes."""
        return self.prompt.variables

    @cached_property
    def identity(self) -> Identity:
        """Which prompt it is."""
        return Identity(
            prompt_name=self.prompt.name,
            prompt_version=self.prompt.version or self._bundle.prompt_version,
            prompt_digest=str(self.prompt.digest),
            bundle_reference=self._bundle.bundle_reference,
            bundle_digest=self._bundle.bundle_digest,
            fingerprint=str(fingerprint(self.prompt)),
            engine=engine_of(self.prompt),
        )

    def render(
        self, values: Mapping[str, Json] | None = None, /, *, record_values: bool = False, **variables: Json
    ) -> Rendered:
        """Fill the prompt with values.

        Args:
            values: Values by name, for names that no Python argument can have.
            record_values: Whether the values go into logs and traces with the identity; sensitive ones never do.
            variables: Values by name; they win over ``values``.

        Raises:
            RenderError: When values are missing, unknown or of the wrong type, all of them at once, or when the
                result would be beyond its limits.
        """
        given = {**(values or {}), **variables}
        spoken = render(self.prompt, given, filters=self._filters, limits=self._limits)
        shown = {name: value for name, value in given.items() if name not in self.prompt.sensitive}
        return Rendered(
            spoken=spoken,
            parameters=dict(self.prompt.parameters),
            model=self.prompt.model,
            identity=self.identity,
            output=self.prompt.output,
            tools=self.prompt.tools,
            values=shown if record_values else {},
        )

    def call(
        self,
        provider: Provider | str,
        values: Mapping[str, Json] | None = None,
        /,
        *,
        model: str = "",
        **variables: Json,
    ) -> Reply:
        """Fill the prompt with values, and ask a model. For more than its name: ``prompt.render(…).call(…)``.

        Args:
            provider: Who is asked: a provider, ``openai``, ``anthropic``, ``deepseek``, or an address.
            values: Values by name, also for a variable that is called ``model``.
            model: The model to ask, instead of the one that the prompt names.
            variables: Values by name; they win over ``values``.

        Raises:
            RenderError: When the values do not fit.
            UsageError: When no one model is named, or a parameter cannot be sent.
            ModelError, ModelAuthError, ModelBusyError: When there is no answer.
        """
        return self.render({**(values or {}), **variables}).call(provider, _wishes(model))

    async def acall(
        self,
        provider: Provider | str,
        values: Mapping[str, Json] | None = None,
        /,
        *,
        model: str = "",
        **variables: Json,
    ) -> Reply:
        """As :meth:`call`, in an event loop."""
        return await self.render({**(values or {}), **variables}).acall(provider, _wishes(model))

    def stream(
        self,
        provider: Provider | str,
        values: Mapping[str, Json] | None = None,
        /,
        *,
        model: str = "",
        **variables: Json,
    ) -> Generator[Chunk, None, None]:
        """As :meth:`call`, handing out the answer as it arrives; the last piece has the whole reply."""
        return self.render({**(values or {}), **variables}).stream(provider, _wishes(model))

    def astream(
        self,
        provider: Provider | str,
        values: Mapping[str, Json] | None = None,
        /,
        *,
        model: str = "",
        **variables: Json,
    ) -> AsyncGenerator[Chunk, None]:
        """As :meth:`stream`, in an event loop."""
        return self.render({**(values or {}), **variables}).astream(provider, _wishes(model))


def _wishes(model: str) -> Wishes:
    from kitpack.runtime.calling.prompted import Wishes

    return Wishes(model=model)
