"""What changed between two versions of a prompt, by what it means to those who call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.matching import Matcher, Patience, TooLongError
from kitpack.prompts.prompt import Message, Prompt
from kitpack.prompts.textdiff import LineChange, diff_lines
from kitpack.prompts.tokens import Count, Counter, count_prompt, estimate
from kitpack.prompts.valuediff import ValueChange, diff_values
from kitpack.prompts.variables import VariableChange, compare_outputs, compare_variables

__all__ = ["IncludeChange", "MessageChange", "PromptDiff", "TokensChange", "diff_prompts"]

Kind = Literal["added", "removed", "changed"]

_MAX_STEPS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChange:
    """A message that differs.

    Attributes:
        kind: Whether it is new, gone, or another one.
        role: Who speaks; in the version before, when it is gone.
        role_before: Who spoke before; empty when it is new.
        lines: Its text, line by line, with the numbers that the lines have in their files.
    """

    kind: Kind
    role: str
    role_before: str
    lines: tuple[LineChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncludeChange:
    """A text that the prompt takes in, and that differs.

    Attributes:
        kind: Whether it is new, gone, or has another text.
        path: Its path in the bundle.
        lines: Its text, line by line.
    """

    kind: Kind
    path: str
    lines: tuple[LineChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensChange:
    """How long the prompt is for a model.

    Attributes:
        before: Its tokens before; None when there was no such prompt.
        after: Its tokens now; None when it is gone.
        percent: By how much it grew, in percent; negative when it shrank, None when there is nothing to compare.
    """

    before: Count | None
    after: Count | None
    percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDiff:
    """A prompt that differs.

    Attributes:
        kind: Whether it is new, gone, or another one.
        name: What applications call it; its old name when it is gone.
        path: Its file; its old one when it is gone.
        name_before: What it was called; empty when it is new.
        path_before: Where it was; empty when it is new.
        breaks: Whether callers of the version before fail, or get what they do not expect.
        messages: The messages that differ.
        variables: What it is filled with, as far as that differs.
        output: The promise about its answer, as far as that differs.
        settings: Everything else that the author says about it: model, parameters, untrusted and sensitive variables,
            tools, filters, format, version, changelog, description.
        includes: The texts it takes in that differ.
        tokens: Its length before and after; None when it could not be counted.
        lines: Its file, line by line.
    """

    kind: Kind
    name: str
    path: str
    name_before: str
    path_before: str
    breaks: bool = False
    messages: tuple[MessageChange, ...] = ()
    variables: tuple[VariableChange, ...] = ()
    output: tuple[VariableChange, ...] = ()
    settings: tuple[ValueChange, ...] = ()
    includes: tuple[IncludeChange, ...] = ()
    tokens: TokensChange | None = None
    lines: tuple[LineChange, ...] = ()

    @property
    def is_spelling(self) -> bool:
        """Whether nothing differs but how the file is written."""
        moved = (self.name, self.path) != (self.name_before, self.path_before)
        means = self.messages or self.variables or self.output or self.settings or self.includes
        return self.kind == "changed" and not moved and not means and self.tokens is not None

    def grew(self, percent: float) -> bool:
        """Whether it has more tokens than before by more than so many percent."""
        return self.tokens is not None and self.tokens.percent is not None and self.tokens.percent > percent


def diff_prompts(
    before: Prompt | None, after: Prompt | None, *, counters: tuple[Counter, Counter] | None = None
) -> PromptDiff:
    """Compare two versions of a prompt.

    Args:
        before: The older version; None when there is none.
        after: The newer version; None when there is none any more.
        counters: What counts the tokens of each; an estimate when nothing is given.

    Raises:
        ValueError: When there is neither.
    """
    last = after or before
    if last is None:
        raise ValueError("there is no prompt to compare")
    variables = compare_variables(before, after) if before and after else ()
    output = compare_outputs(before, after) if before and after else ()
    return PromptDiff(
        kind="added" if before is None else "removed" if after is None else "changed",
        name=last.name,
        path=last.path,
        name_before=before.name if before else "",
        path_before=before.path if before else "",
        breaks=after is None or any(change.breaks for change in (*variables, *output)) or _is_renamed(before, after),
        messages=tuple(_messages(before, after)),
        variables=variables,
        output=output,
        settings=(*_settings(before, after), *_rest_of_schemas(before, after, variables, output)),
        includes=tuple(_includes(before, after)),
        tokens=_tokens(before, after, counters or (estimate(), estimate())),
        lines=tuple(diff_lines(before.source if before else "", after.source if after else "")),
    )


def _is_renamed(before: Prompt | None, after: Prompt) -> bool:
    return before is not None and before.name != after.name


def _messages(before: Prompt | None, after: Prompt | None) -> Iterator[MessageChange]:
    old = before.messages if before else ()
    new = after.messages if after else ()
    for one, other in _pairs(old, new):
        lines = _compared(one, other)
        if one is None or other is None or lines or one.role != other.role:
            yield MessageChange(
                kind="added" if one is None else "removed" if other is None else "changed",
                role=other.role if other else one.role if one else "",
                role_before=one.role if one else "",
                lines=lines,
            )


def _pairs(old: tuple[Message, ...], new: tuple[Message, ...]) -> Iterator[tuple[Message | None, Message | None]]:
    """Messages and what they were before: those that differ, each beside one of the same speaker if there is one."""
    before, after = ([f"{message.role}\n{message.template}" for message in side] for side in (old, new))
    try:
        codes = Matcher(before, after, Patience(_MAX_STEPS)).get_opcodes()
    except TooLongError:
        codes = [("replace", 0, len(old), 0, len(new))]
    for kind, old_first, old_last, new_first, new_last in codes:
        if kind != "equal":
            yield from _partners(list(old[old_first:old_last]), new[new_first:new_last])


def _partners(old: list[Message], new: tuple[Message, ...]) -> Iterator[tuple[Message | None, Message | None]]:
    if len(old) == len(new) == 1:
        yield old[0], new[0]
        return
    for message in new:
        partner = next((one for one in old if one.role == message.role), None)
        if partner:
            yield from ((one, None) for one in old[: old.index(partner)])
            del old[: old.index(partner) + 1]
        yield partner, message
    yield from ((one, None) for one in old)


def _compared(before: Message | None, after: Message | None) -> tuple[LineChange, ...]:
    """The texts of two messages, line by line; where both end without a line break, that is no news."""
    old, new = before.template if before else "", after.template if after else ""
    open_ended = [not text.endswith("\n") for text in (old, new) if text]
    if all(open_ended):
        old, new = (f"{text}\n" if text else "" for text in (old, new))
    start = (before.line if before else 1, after.line if after else 1)
    return tuple(diff_lines(old, new, start=start))


def _settings(before: Prompt | None, after: Prompt | None) -> Iterator[ValueChange]:
    old, new = _said(before), _said(after)
    yield from diff_values(old, new)
    for key in ("untrusted", "sensitive", "must_contain"):
        names: list[list[Json]] = [sorted(getattr(side, key)) if side else [] for side in (before, after)]
        if names[0] != names[1]:
            yield ValueChange(path=key, kind=_kind(*map(bool, names)), before=names[0], after=names[1])


def _rest_of_schemas(
    before: Prompt | None, after: Prompt | None, variables: Sequence[object], output: Sequence[object]
) -> Iterator[ValueChange]:
    """What schemas say that is about no single variable or field, such as whether others are allowed."""
    if before and after and not variables:
        yield from diff_values(before.variables, after.variables, "variables")
    if before and after and not output:
        yield from diff_values(before.output, after.output, "output")


def _kind(before: bool, after: bool) -> Kind:  # noqa: FBT001 - two sides
    return "changed" if before and after else "added" if after else "removed"


def _said(prompt: Prompt | None) -> JsonObject:
    """What the author says about a prompt, without what is nothing."""
    if prompt is None:
        return {"parameters": {}, "filters": {}, "metadata": {}}
    said: JsonObject = {
        "changelog": prompt.changelog,
        "model": prompt.model,
        "parameters": dict(prompt.parameters),
        "tools": prompt.tools,
        "filters": dict(prompt.filters),
        "format": prompt.format,
        "version": prompt.version,
        "description": prompt.description,
        "metadata": dict(prompt.metadata),
    }
    return {key: value for key, value in said.items() if isinstance(value, dict) or value}


def _includes(before: Prompt | None, after: Prompt | None) -> Iterator[IncludeChange]:
    old: Mapping[str, str] = {path: one.text for path, one in before.includes.items()} if before else {}
    new: Mapping[str, str] = {path: one.text for path, one in after.includes.items()} if after else {}
    for path in dict.fromkeys([*new, *old]):
        if old.get(path) != new.get(path):
            lines = diff_lines(old.get(path, ""), new.get(path, ""))
            yield IncludeChange(kind=_kind(path in old, path in new), path=path, lines=tuple(lines))


def _tokens(before: Prompt | None, after: Prompt | None, counters: tuple[Counter, Counter]) -> TokensChange:
    old, new = (
        count_prompt(prompt, counter) if prompt else None
        for prompt, counter in zip((before, after), counters, strict=True)
    )
    percent = None
    if old and new and old.tokens and old.exact == new.exact:
        percent = round(100 * (new.tokens - old.tokens) / old.tokens, 1)
    return TokensChange(before=old, after=new, percent=percent)
