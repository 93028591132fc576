"""What the tool that a prompt is written for cannot say about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kitpack.prompts.exchange.shape import Draft

__all__ = ["lost_space", "unsaid"]


def unsaid(draft: Draft, said: frozenset[str], tool: str) -> Iterator[str]:
    """A sentence about the keys of a prompt that another tool has no place for, if there are any.

    Args:
        draft: The prompt.
        said: The keys that the tool has a place for.
        tool: What the tool is called.
    """
    left = [key for key, value in draft.keys.items() if value and key not in said]
    if left:
        yield f"{draft.name}: {tool} has no place for {', '.join(left)}; left out"


def lost_space(name: str, messages: Sequence[tuple[str, str]], tool: str) -> Iterator[str]:
    """A sentence about the space in messages that the files of another tool do not keep, if there is any.

    Args:
        name: The prompt.
        messages: Its messages: roles and texts.
        tool: What the tool is called.
    """
    if any("\r" in text for _, text in messages):
        yield f"{name}: carriage returns become line feeds"
    if any(text.removesuffix("\n") != text.strip() for _, text in messages):
        yield f"{name}: {tool} does not keep the space around messages"
