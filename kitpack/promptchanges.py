"""What each record of a release log changed in the prompts, in one line for each prompt.

Only the prompts are fetched, each once, several at a time. Tokens are estimated on both sides: their change in percent
is what somebody wrote, and no tokenizer needs to be read for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kitpack.artifact.bundle import TEXT_LIMIT, Bundle
from kitpack.artifact.inspecting.promptsdiff import compare_prompts
from kitpack.content.events import OnEvent, ignore
from kitpack.content.nearest import Nearest
from kitpack.content.remembering import Remembering
from kitpack.content.sidebyside import side_by_side
from kitpack.content.store.layout import Layout
from kitpack.content.target import Source
from kitpack.errors import KitpackError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.places import find_home, local_store
from kitpack.prompts.tokens import estimate
from kitpack.releases.record import Record
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.prompts.diff import PromptDiff

__all__ = ["PromptChanges", "prompt_changes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptChanges:
    """What changed between what was live before a record and after it.

    Attributes:
        prompts: The prompts that differ.
        fault: Why that cannot be told, such as content that is not there any more.
    """

    prompts: tuple[PromptDiff, ...] = ()
    fault: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each prompt, such as ``triage: +3 -1 lines, tokens +2 %``."""
        if self.fault:
            return (f"prompts: {self.fault}",)
        return tuple(_line(one) for one in self.prompts)


def prompt_changes(
    channel: str, records: Sequence[Record], *, local: bool = False, settings: Settings | None = None
) -> Mapping[Digest, PromptChanges]:
    """Compare the prompts before and after each of some records that moved a channel to another release.

    Args:
        channel: Bundle and channel.
        records: The records, such as the last of a log.
        local: Whether the local store is meant.
        settings: The surroundings.

    Returns:
        The changes by the digest of their record. What cannot be read is said there: it is no error.
    """
    settings = settings or Settings.from_env()
    moves = [one for one in records if one.moves and one.source and one.source != one.target and one.digest]
    if not moves:
        return {}
    home, _ = find_home(channel, settings, local=local, channel=True)
    source = home.target if isinstance(home.target, Layout) else Nearest(local_store(settings), home.target)
    remembering = Remembering(source, {}, TEXT_LIMIT)
    pairs = list(dict.fromkeys((one.source, one.target) for one in moves))
    digests = list(dict.fromkeys(digest for pair in pairs for digest in pair if digest))
    bundles = dict(
        zip(digests, side_by_side(partial(_bundle, remembering), digests, settings.jobs, ignore), strict=True)
    )

    def compare(pair: tuple[Digest | None, Digest], _: OnEvent) -> PromptChanges:
        sides = [bundles[one] for one in pair if one]
        before, after = sides
        if isinstance(before, Bundle) and isinstance(after, Bundle):
            return _compared(before, after)
        return PromptChanges(fault=next(one for one in sides if isinstance(one, str)))

    found = dict(zip(pairs, side_by_side(compare, pairs, settings.jobs, ignore), strict=True))
    return {one.digest: found[one.source, one.target] for one in moves if one.digest}


def _bundle(source: Source, digest: Digest, _: OnEvent) -> Bundle | str:
    try:
        return Bundle(source, _resolved(source, digest))
    except KitpackError as error:
        return error.message


def _resolved(source: Source, digest: Digest) -> Descriptor:
    return source.resolve(str(digest))


def _compared(before: Bundle, after: Bundle) -> PromptChanges:
    try:
        found, _ = compare_prompts(before, after, files_differ=True, counters=lambda: (estimate(), estimate()))
    except KitpackError as error:
        return PromptChanges(fault=error.message)
    return PromptChanges(prompts=tuple(one for one in found if not one.is_spelling))


def _line(one: PromptDiff) -> str:
    name = one.name or one.path
    if one.kind != "changed":
        return f"{name}: {one.kind}"
    kinds = [line.kind for line in one.lines]
    parts = [f"+{kinds.count('added')} -{kinds.count('removed')} lines"] if one.lines else []
    if one.name_before and one.name != one.name_before:
        parts.append(f"was called {one.name_before}")
    if one.tokens and one.tokens.percent:
        parts.append(f"tokens {one.tokens.percent:+.3g} %")
    if one.breaks:
        parts.append("callers break")
    return f"{name}: {', '.join(parts) or 'what it takes in changed'}"
