"""What was live in a folder of deployed releases, and what a rollback there restores.

One line of JSON for each change, only ever appended, written before the change is made. Each line says what was live
when it was written, so a reader can tell a change that happened from one that a crash prevented, or that somebody made
by hand: the next line, or the folder itself, names what was live afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from kitpack.content.store.durable import sync_file, sync_folder, write_all
from kitpack.oci.jsontext import encode, parse_object

__all__ = ["Action", "Entry", "append_entry", "go_back_to", "last_change", "read_entries"]

Action: TypeAlias = Literal["deploy", "rollback", "revert"]
"""Why a release became live; ``revert`` because the command that was told of the one after it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A change of what is live.

    Attributes:
        time: When, in UTC.
        action: Why.
        release: The folder that became live, below ``releases``.
        before: The one that was; empty when there was none.
        digest: The bundle in it.
        version: Its version.
        reference: What it was deployed by.
    """

    time: datetime
    action: Action
    release: str
    before: str = ""
    digest: str = ""
    version: str = ""
    reference: str = ""


def append_entry(path: Path, entry: Entry) -> None:
    """Write an entry behind the others; it is on the disk afterwards. What a crash left of a line gets no company."""
    line = encode(
        {
            "time": entry.time.astimezone(UTC).isoformat(timespec="milliseconds"),
            "action": entry.action,
            "release": entry.release,
            "before": entry.before,
            "digest": entry.digest,
            "version": entry.version,
            "reference": entry.reference,
        }
    )
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        write_all(fd, (b"\n" if torn else b"") + line + b"\n")
        sync_file(fd)
    finally:
        os.close(fd)
    if not size:
        sync_folder(path.parent)


def read_entries(path: Path) -> list[Entry]:
    """All entries, oldest first, without lines that cannot be read."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [entry for line in lines if (entry := _read(line))]


def last_change(entries: Sequence[Entry], current: str) -> Entry | None:
    """The last change that happened, if what it made live still is."""
    last = next((one for one, after in _with_after(entries, current) if after != one.before), None)
    return last if last and last.release == current else None


def go_back_to(entries: Sequence[Entry], current: str) -> list[str]:
    """The releases that rollbacks restore, the next one first: never one that a rollback has left behind.

    Args:
        entries: All entries.
        current: What is live.
    """
    live, stack = "", list[str]()
    for action, release in _moves(entries, current):
        if action == "deploy":
            stack = [one for one in (live, *stack) if one and one != release]
        elif release in stack:
            stack = stack[stack.index(release) + 1 :]
        live = release
    return stack


def _with_after(entries: Sequence[Entry], current: str) -> Iterator[tuple[Entry, str]]:
    """The entries from the last to the first, each with what was live after it."""
    after = current
    for entry in reversed(entries):
        yield entry, after
        after = entry.before


def _moves(entries: Sequence[Entry], current: str) -> Iterator[tuple[Action, str]]:
    """What became live, one after the other; what somebody did by hand counts as a deployment."""
    for entry, after in reversed([*_with_after(entries, current)]):
        if after != entry.before:
            yield entry.action, entry.release
        if after and after not in (entry.release, entry.before):
            yield "deploy", after


def _read(line: bytes) -> Entry | None:
    with suppress(ValueError, KeyError, TypeError):
        value = parse_object(line)
        action = value["action"]
        if action in get_args(Action) and value["release"]:
            return Entry(
                time=datetime.fromisoformat(str(value["time"])),
                action=cast("Action", action),
                release=str(value["release"]),
                before=str(value.get("before", "")),
                digest=str(value.get("digest", "")),
                version=str(value.get("version", "")),
                reference=str(value.get("reference", "")),
            )
    return None
