"""Rules about the model a prompt is for: which one, how it is sampled, and how much it can see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from kitpack.document.schema import nearest
from kitpack.oci.jsontext import Json
from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.where import head_line, key_line
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.tokens import count_prompt

__all__ = ["context_window", "model_target", "parameters", "token_growth"]

_RANGES: Mapping[str, tuple[float | None, float | None]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_k": (-1, None),
    "min_p": (0, 1),
    "top_a": (0, 1),
    "typical_p": (0, 1),
    "tfs_z": (0, 1),
    "max_tokens": (1, None),
    "max_output_tokens": (1, None),
    "max_completion_tokens": (1, None),
    "max_new_tokens": (1, None),
    "min_tokens": (0, None),
    "num_predict": (-2, None),
    "num_ctx": (1, None),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "repetition_penalty": (0, 10),
    "repeat_penalty": (0, 10),
    "repeat_last_n": (-1, None),
    "length_penalty": (-10, 10),
    "n": (1, 128),
    "best_of": (1, 128),
    "top_logprobs": (0, 20),
    "mirostat": (0, 2),
    "mirostat_tau": (0, None),
    "mirostat_eta": (0, None),
    "seed": (None, None),
}
"""Parameters that are numbers, and what servers usually take; None where there is no limit."""

_WHOLE = frozenset(name for name in _RANGES if name.endswith(("_tokens", "_k", "_predict", "_ctx"))) | {"n", "seed"}
_OTHERS = frozenset(
    {
        "audio",
        "cache_prompt",
        "do_sample",
        "echo",
        "effort",
        "extra_body",
        "functions",
        "function_call",
        "grammar",
        "guided_choice",
        "guided_grammar",
        "guided_json",
        "guided_regex",
        "ignore_eos",
        "json_schema",
        "keep_alive",
        "logit_bias",
        "logprobs",
        "metadata",
        "modalities",
        "output_config",
        "parallel_tool_calls",
        "prediction",
        "prompt_cache_key",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "safety_settings",
        "samplers",
        "service_tier",
        "skip_special_tokens",
        "stop",
        "stop_sequences",
        "stop_token_ids",
        "store",
        "stream",
        "stream_options",
        "structured_outputs",
        "suffix",
        "thinking",
        "timeout",
        "tool_choice",
        "truncation",
        "user",
        "verbosity",
        "web_search_options",
    }
)
_LIMITS = ("max_tokens", "max_output_tokens", "max_completion_tokens", "max_new_tokens", "num_predict")


def model_target(prompt: Prompt, around: Around) -> Iterator[Found]:
    """Find prompts that are tuned for something else than what is packed with them."""
    if around.model is None or not prompt.model:
        return
    names, line = around.model.names or tuple(filter(None, [around.model.name])), key_line(prompt, "model")
    if prompt.model == "bundle":
        if not names:
            message = "the prompt is for the packed model, and the bundle packs none"
            yield Found(rule="prompt-model-missing", message=message, line=line)
    elif names and not any(_fits(name, prompt.model) for name in names):
        message = f"the prompt is tuned for {prompt.model}, and the bundle packs {names[0]}"
        yield Found(rule="prompt-model-mismatch", message=message, line=line)


def _fits(name: str, target: str) -> bool:
    """Whether a name is the one that is meant; the case of letters does not tell models apart."""
    return fnmatchcase(name.casefold(), target.casefold())


def parameters(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find parameters that servers do not know, or do not take."""
    for name, value in prompt.parameters.items():
        line = key_line(prompt, "parameters", name)
        if name in _RANGES:
            if expected := _refused(name, value):
                message = f"{name} is {value!r}; expected {expected}"
                yield Found(rule="prompt-parameter-range", message=message, line=line)
        elif name not in _OTHERS:
            meant = nearest(name, sorted({*_RANGES, *_OTHERS}))
            hint = f"did you mean {meant}?" if meant else ""
            yield Found(rule="prompt-parameter-unknown", message=f"{name} is no usual parameter", line=line, hint=hint)


def _refused(name: str, value: Json) -> str:
    """What was expected instead of a value; empty when it is right."""
    low, high = _RANGES[name]
    kind = "a whole number" if name in _WHOLE else "a number"
    limits = (
        f"{kind} from {low} to {high}"
        if low is not None and high is not None
        else f"{kind}, {low} or more"
        if low is not None
        else kind
    )
    if isinstance(value, bool) or not isinstance(value, int if name in _WHOLE else int | float):
        return limits
    return "" if (low is None or value >= low) and (high is None or value <= high) else limits


def context_window(prompt: Prompt, around: Around) -> Iterator[Found]:
    """Find prompts that leave no room for their answer."""
    if around.counter is None or around.model is None or not around.model.context_window:
        return
    room, (key, answer) = around.model.context_window, _answer_limit(prompt)
    if _most_tokens(prompt) + answer <= room:
        return
    counted = count_prompt(prompt, around.counter)
    if counted.tokens + answer <= room:
        return
    about = "" if counted.exact else "about "
    sums = f"{about}{counted.tokens} tokens and {key} {answer}" if answer else f"{about}{counted.tokens} tokens"
    yield Found(
        rule="prompt-context-window",
        message=f"the prompt has {sums}; the model sees {room}",
        line=key_line(prompt, "parameters", key),
    )


def _most_tokens(prompt: Prompt) -> int:
    """More tokens than a prompt can have, without counting them: none is shorter than a byte."""
    texts = [*(message.template for message in prompt.messages), *(one.text for one in prompt.includes.values())]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def _answer_limit(prompt: Prompt) -> tuple[str, int]:
    """How long the answer may become, and which parameter says so."""
    for key in _LIMITS:
        value = prompt.parameters.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return key, value
    return "", 0


def token_growth(prompt: Prompt, around: Around) -> Iterator[Found]:
    """Find prompts that became a good deal longer."""
    if around.counter is None or around.previous is None:
        return
    now, before = count_prompt(prompt, around.counter), count_prompt(around.previous, around.counter)
    grown = (now.tokens - before.tokens) / before.tokens * 100 if before.tokens else 0.0
    if grown > around.growth:
        message = f"{before.tokens} → {now.tokens} tokens, {grown:.0f} % more than before ({now.by})"
        yield Found(rule="prompt-token-growth", message=message, line=head_line(prompt))
