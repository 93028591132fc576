"""Which prompts of two bundles are versions of one another, and what changed in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.inspecting.prompts import bundle_prompts
from kitpack.artifact.smallfiles import read_files
from kitpack.errors import Issue
from kitpack.prompts.diff import PromptDiff, diff_prompts
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.textdiff import diff_lines
from kitpack.prompts.tokens import Counter as TokenCounter

__all__ = ["Counters", "compare_prompts"]

_MOSTLY = 0.8
_FEW_WORDS = 12
"""Words that two prompts may share by chance."""

Counters: TypeAlias = tuple[TokenCounter, TokenCounter]
"""What counts tokens before and after."""


def compare_prompts(
    before: Bundle, after: Bundle, *, files_differ: bool, counters: Callable[[], Counters]
) -> tuple[tuple[PromptDiff, ...], tuple[Issue, ...]]:
    """Compare the prompts of two bundles.

    Args:
        before: The older one.
        after: The newer one.
        files_differ: Whether any layers do; else, only what the Kitfiles say about prompts can differ.
        counters: Finds what counts tokens; called only when prompts differ.

    Returns:
        The prompts that differ, in the order of their paths; and what keeps prompts from being compared as such: their
        files are compared instead.
    """
    if not files_differ and before.kitfile == after.kitfile:
        return (), ()
    old, new = bundle_prompts(before), bundle_prompts(after)
    raw_old, raw_new = read_files(before, {"prompt"}, jobs=1), read_files(after, {"prompt"}, jobs=1)
    parsed_old, parsed_new = ({one.path: one for one in side.found} for side in (old, new))
    unread = (raw_old.keys() - parsed_old.keys()) | (raw_new.keys() - parsed_new.keys())
    unread = {path for path in unread if raw_old.get(path) or raw_new.get(path)} | {
        path for path in unread if path in raw_old and path in raw_new
    }
    pairs = _pairs(
        [one for path, one in parsed_old.items() if path not in unread],
        [one for path, one in parsed_new.items() if path not in unread],
    )
    differing = [(one, other) for one, other in pairs if one != other]
    counting = counters() if differing else None
    found = [diff_prompts(one, other, counters=counting) for one, other in differing]
    found += _of_files(unread, raw_old, raw_new, _changed_paths(before, after))
    found.sort(key=lambda one: one.path)
    return tuple(found), tuple(dict.fromkeys((*old.faults, *new.faults)))


def _pairs(old: Iterable[Prompt], new: Iterable[Prompt]) -> Iterator[tuple[Prompt | None, Prompt | None]]:
    """Prompts and what they were before: by name, then by path, then by what they say."""
    left, pairs = list(old), dict[int, Prompt]()
    new = list(new)
    ways: tuple[Callable[[Prompt, Prompt], bool], ...] = (
        lambda one, other: one.name == other.name,
        lambda one, other: one.path == other.path,
        lambda one, other: one.messages == other.messages,
        _alike,
    )
    for way in ways:
        for number, prompt in enumerate(new):
            partner = next((one for one in left if way(one, prompt)), None) if number not in pairs else None
            if partner is not None:
                pairs[number] = partner
                left.remove(partner)
    yield from ((pairs.get(number), prompt) for number, prompt in enumerate(new))
    yield from ((prompt, None) for prompt in left)


def _alike(one: Prompt, other: Prompt) -> bool:
    """Whether two prompts with other names share most of their words."""
    words = [Counter(word for message in side.messages for word in message.template.split()) for side in (one, other)]
    most = max(words[0].total(), words[1].total())
    return most > _FEW_WORDS and (words[0] & words[1]).total() >= most * _MOSTLY


def _of_files(
    paths: Iterable[str],
    old: Mapping[str, bytes | None],
    new: Mapping[str, bytes | None],
    changed: set[str],
) -> Iterator[PromptDiff]:
    """Files that are no prompts by themselves, or with faults, line by line."""
    for path in sorted(paths):
        before, after = old.get(path), new.get(path)
        if before == after and not (before is None and path in changed):
            continue
        yield PromptDiff(
            kind="changed" if path in old and path in new else "added" if path in new else "removed",
            name="",
            path=path,
            name_before="",
            path_before=path if path in old else "",
            lines=tuple(diff_lines(*texts)) if (texts := _texts(path in old, before, path in new, after)) else (),
        )


def _texts(had: bool, before: bytes | None, has: bool, after: bytes | None) -> tuple[str, str] | None:  # noqa: FBT001
    """Both versions as text; None when one of them is none, or too long."""
    if (had and before is None) or (has and after is None):
        return None
    try:
        return (before or b"").decode(), (after or b"").decode()
    except UnicodeDecodeError:
        return None


def _changed_paths(before: Bundle, after: Bundle) -> set[str]:
    old = {layer.path: layer.descriptor.digest for layer in before.layers}
    new = {layer.path: layer.descriptor.digest for layer in after.layers}
    return {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
