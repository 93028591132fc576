"""What may stand in the place of an argument: how it is read, and how the shell completes it.

Nothing at all may stand nowhere: an empty word is a variable of a script that nobody set, and must not come to mean
"everything" or "without a name".
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitpack.errors import InvalidReferenceError, KitpackError, UsageError
from kitpack.oci.reference import LAYOUT_SCHEME, LayoutReference, Reference, looks_like_host
from kitpack.settings import Settings

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "CHANNEL",
    "DURATION",
    "FOLDER",
    "FOLDER_OR_REFERENCE",
    "NEW_FOLDER",
    "NEW_REFERENCE",
    "PROMPTS",
    "REFERENCE",
    "Words",
    "require_tag",
]

_USUAL = ("production", "staging", "testing")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)")

if TYPE_CHECKING:
    _Text = click.ParamType[str]
    _Number = click.ParamType[int]
    _List = click.ParamType[tuple[str, ...]]
    _Path = click.Path[Path]
else:
    _Text = _Number = _List = click.ParamType  # generic in new versions of click alone
    _Path = click.Path


class _ReferenceType(_Text):
    """A reference; the shell completes the names in the local store, and folders where those are welcome."""

    name = "reference"

    def __init__(self, *, folders: bool = False, files: bool = False, new: bool = False) -> None:
        self._folders = "file" if files else "dir" if folders else ""
        self._new = new

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is empty, and a new name that is not whole; the rest is read by whoever uses it."""
        _refuse_empty(value, param, ctx)
        if self._new:
            require_tag(value)
        return value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The names that begin with what was typed."""
        from click.shell_completion import CompletionItem

        from kitpack.releases.record import channel_of

        names = [name for name in _local_names() if name.startswith(incomplete) and not channel_of(name)]
        found = [CompletionItem(name) for name in names]
        return [*found, CompletionItem(incomplete, type=self._folders)] if self._folders else found


class _ChannelType(_Text):
    """The name of a channel; the shell completes those that are usual, and those in the local store."""

    name = "channel"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is empty; the rest is read by whoever uses it."""
        _refuse_empty(value, param, ctx)
        return value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The channels that begin with what was typed."""
        from click.shell_completion import CompletionItem

        from kitpack.releases.record import ARCHIVE, channel_of

        found = {channel_of(name).rpartition(":")[2] for name in _local_names()} - {"", ARCHIVE}
        return [CompletionItem(name) for name in sorted({*found, *_USUAL}) if name.startswith(incomplete)]


def _local_names() -> list[str]:
    """The names in the local store; a shell that waits for completions has no use for errors."""
    from kitpack.content.store.layout import Layout

    try:
        return sorted(Layout(Settings.from_env().home).tags())
    except (KitpackError, OSError):
        return []


class Words(_List):
    """Words with commas between them; the shell completes the known ones.

    Args:
        known: The words to complete. Whoever uses them says whether others are welcome.
    """

    name = "words"

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The words, without the spaces around them."""
        words = value.split(",") if isinstance(value, str) else value
        found = tuple(word for one in words if (word := one.strip()))
        _refuse_empty("".join(found), param, ctx)
        return found

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The words that the last one may become."""
        from click.shell_completion import CompletionItem

        before, comma, begun = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{word}") for word in self._known if word.startswith(begun)]


class _Duration(_Number):
    """Seconds, or a number with a unit: ``90``, ``10m``, ``2h``, ``7d``."""

    name = "duration"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The seconds it is."""
        found = _DURATION.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is not a time; expected seconds, or a number with a unit: 10m, 2h, 7d", param, ctx)
        return int(found[1]) * _SECONDS[found[2]]


class _FolderType(_Path):
    """A folder, for a user who may have left out the flag before a reference."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The folder."""
        _refuse_empty(str(value), param, ctx)
        if self.exists and not Path(value).exists() and _is_reference(str(value)):
            raise UsageError(f"{value} is not a folder", hint=f"to call a bundle so: kitpack pack DIR -t {value}")
        return super().convert(value, param, ctx)


CHANNEL = _ChannelType()
REFERENCE = _ReferenceType()
NEW_REFERENCE = _ReferenceType(new=True)
FOLDER_OR_REFERENCE = _ReferenceType(folders=True)
PROMPTS = _ReferenceType(files=True)
FOLDER = _FolderType(path_type=Path, exists=True, file_okay=False)
NEW_FOLDER = _FolderType(path_type=Path)
DURATION = _Duration()


def _refuse_empty(value: str, param: click.Parameter | None, ctx: click.Context | None) -> None:
    if not value.strip():
        name = param.get_error_hint(ctx) if param and ctx else "the value"
        raise UsageError(f"{name} is empty", hint="is the variable set that it comes from?")


def require_tag(value: str) -> None:
    """Make sure that a new name is whole; one that does not exist yet cannot be looked up.

    Raises:
        InvalidReferenceError: When it breaks the grammar, or has neither tag nor digest.
    """
    layout = value.startswith(LAYOUT_SCHEME)
    selector = LayoutReference.parse(value).selector if layout else Reference.parse_repository(value).selector
    if not selector:
        host = not layout and looks_like_host(value)
        better = f"name a repository there: {value}/NAME:TAG" if host else f"add a tag: {value}:TAG"
        raise InvalidReferenceError(f"{value!r} has no tag", hint=better)


def _is_reference(text: str) -> bool:
    try:
        return bool(Reference.parse(text))
    except InvalidReferenceError:
        return False
