"""``prompt run``: ask a model what a prompt says. The answer goes to standard output, the rest to standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitpack.cli.options import json_option, local_option, name_option, one_name, quiet_option, with_registry
from kitpack.cli.render import camel_case, one_line, print_json, safe_text, say
from kitpack.cli.types import PROMPTS
from kitpack.errors import UsageError
from kitpack.oci.jsontext import JsonObject
from kitpack.settings import ModelAccess, Settings

if TYPE_CHECKING:
    from kitpack.runtime.calling.reply import Chunk, Reply, Usage
    from kitpack.runtime.served import LoadedPrompt

__all__ = ["prompt_run_command"]


@click.command("run")
@click.argument("what", metavar="REF|DIR|FILE", type=PROMPTS)
@click.argument("name", metavar="[NAME]", required=False)
@name_option
@click.option(
    "--provider",
    metavar="NAME|URL",
    required=True,
    help="openai, anthropic, deepseek, or the address of an endpoint that speaks OpenAI's API.",
)
@click.option("-m", "--model", metavar="MODEL", default="", help="The model to ask, instead of the prompt's own.")
@click.option("--var", "pairs", metavar="NAME=VALUE", multiple=True, help="A value; JSON unless the schema says text.")
@click.option("--vars", "file", metavar="FILE", help="Values from a JSON or YAML file; - is standard input.")
@click.option("--set", "parameters", metavar="NAME=VALUE", multiple=True, help="A parameter, such as temperature=0.")
@click.option("--stream/--no-stream", "streamed", default=True, help="Whether to print the answer as it arrives.")
@local_option
@json_option
@quiet_option
@with_registry
def prompt_run_command(
    what: str,
    name: str | None,
    *,
    prompt: str | None,
    provider: str,
    model: str,
    pairs: tuple[str, ...],
    file: str | None,
    parameters: tuple[str, ...],
    streamed: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Fill a prompt with values, ask a model what it says, with its parameters, and print the answer.

    Keys come from the environment: OPENAI_API_KEY, ANTHROPIC_API_KEY, DEEPSEEK_API_KEY, and KITPACK_MODEL_KEY for an
    endpoint that is named by its address. Nothing in a bundle can choose who is asked.

    \b
      kitpack prompt run assistant:1.4.0 triage --provider openai --var customer_tier=gold --var ticket="It is on fire."
      kitpack prompt run samples/support-bot triage --provider http://localhost:8080/v1 --model llama-3.1-8b
    """
    from kitpack.cli.promptrender import values_for
    from kitpack.runtime.calling import provider as providers
    from kitpack.runtime.calling.prompted import Wishes, call_prompt, stream_prompt

    _say_things_once()
    asked = _asked_for(what, one_name(name, prompt), local=local, settings=settings)
    rendered = asked.render(values_for(asked.prompt, pairs, file))
    wishes = Wishes(model=model, parameters=_assigned(parameters))
    who = providers.provider(provider, access=replace(ModelAccess.from_env(), ca_file=settings.ca_file))
    if who.tells_its_key:
        _warn(f"the key goes to {providers.shown(who.base_url)} without TLS, and others can read it on the way")
    if as_json or not streamed:
        reply = call_prompt(rendered, who, wishes)
        _print_whole(reply, as_json=as_json)
    else:
        reply = _printed(stream_prompt(rendered, who, wishes))
    _tell(reply, quiet=quiet)


def _say_things_once() -> None:
    """Keep what is odd about an answer out of the log, where nobody has asked for one: it is told in any case."""
    log = logging.getLogger("kitpack.runtime.calling")
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def _asked_for(what: str, name: str, *, local: bool, settings: Settings) -> LoadedPrompt:
    """The prompt of a file, or of a bundle, or of a folder as it is now."""
    if Path(what).is_file():
        from kitpack.cli.promptview import chosen_prompt
        from kitpack.promptplaces import find_prompts
        from kitpack.runtime.identity import Identity
        from kitpack.runtime.served import LoadedPrompt

        found = chosen_prompt(find_prompts(what, local=local, settings=settings), what, name)
        return LoadedPrompt(found, Identity(bundle_reference=what))
    from kitpack.runtime.load import load

    bundle = load(what, local=local, accept_changes=True, settings=settings)
    return bundle.prompt(name or _only(list(bundle.prompts)))


def _print_whole(reply: Reply, *, as_json: bool) -> None:
    if not as_json:
        click.echo(safe_text(reply.text))
        return
    identity = None if reply.identity is None else camel_case(reply.identity)
    print_json({**reply.to_dict(), "data": reply.data, "identity": identity})


def _only(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    there = ", ".join(names) or "none that can be read"
    raise UsageError(f"say which prompt; there is {there}", hint="name one: --prompt NAME")


def _printed(pieces: Generator[Chunk, None, None]) -> Reply:
    """Print pieces as they come, and return what they add up to."""
    reply: Reply | None = None
    with closing(pieces):
        for chunk in pieces:
            click.echo(safe_text(chunk.text), nl=False)
            reply = chunk.reply or reply
    assert reply is not None  # noqa: S101 - a stream without one has raised
    click.echo()
    return reply


def _tell(reply: Reply, *, quiet: bool) -> None:
    """Say what is odd about an answer, which ``--quiet`` does not silence, and what it cost."""
    if reply.truncated:
        _warn("the answer was cut off at the limit of its length (max_tokens)")
    if reply.finish_reason == "content_filter":
        _warn(reply.refusal or "the endpoint's filter ended the answer")
    if reply.model_mismatch:
        _warn(reply.model_mismatch)
    if reply.ignored:
        _warn(f"{reply.provider} has no parameter {', '.join(reply.ignored)}; not sent")
    for fault in reply.output_faults:
        _warn(f"the answer is not what the prompt says it is: {fault}")
    for call in reply.tool_calls:
        say(f"wants a tool called: {call.name}({call.text})", quiet=quiet)
    say(f"{reply.model or reply.requested}: {_cost(reply.usage)}, {reply.latency:.1f} s", quiet=quiet)


def _warn(text: str) -> None:
    click.echo(click.style("warning: ", fg="yellow", bold=True) + one_line(text), err=True)


def _cost(usage: Usage) -> str:
    if usage.input is None and usage.output is None:
        return "tokens not told"
    cached = f" ({usage.cached} cached)" if usage.cached else ""
    reasoning = f" ({usage.reasoning} reasoning)" if usage.reasoning else ""
    return f"{usage.input or 0} tokens in{cached}, {usage.output or 0} out{reasoning}"


def _assigned(words: Sequence[str]) -> JsonObject:
    """Parameters as they are typed: JSON where it is some, else a word; ``null`` takes one of the prompt's away."""
    found: JsonObject = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise UsageError(f"{word!r} is not a parameter", hint="write --set temperature=0")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
