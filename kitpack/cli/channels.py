"""What commands say that move or remove names by hand, where a release log says what a name stands for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from kitpack.cli.render import say
from kitpack.errors import KitpackError, ReleaseError, TagExistsError
from kitpack.settings import Settings

__all__ = ["minding_channels", "refuse_removing"]


@contextmanager
def minding_channels(
    name: str, *, force: bool, quiet: bool, settings: Settings, local: bool = False, hosted: bool = False
) -> Iterator[None]:
    """Do something that may move a name; where that is a channel with a log, say what to do instead.

    With ``--force`` it is done, and said aloud: the log does not know of it.

    Args:
        name: The name that may be moved.
        force: Whether it is moved whatever it names.
        quiet: Whether not to say it.
        settings: The surroundings.
        local: Whether the name is one in the local store.
        hosted: Whether a name without a host is one in the configured registry.

    Raises:
        TagExistsError: When the name is not moved, with the command that moves a channel.
    """
    settings = settings if hosted else replace(settings, registry="")
    channel = _channel(name, local=local, settings=settings) if force else ""
    try:
        yield
    except TagExistsError as error:
        if not (channel or (found := _channel(name, local=local, settings=settings))):
            raise
        where = channel or found
        raise TagExistsError(
            f"{where} is a channel with a release log; {error.message}",
            hint=f"`kitpack promote REF --to {where.rpartition(':')[2]}` or `kitpack rollback {where}` moves it and "
            "writes that down; --force moves it all the same",
        ) from None
    if channel:
        say(
            f"warning: {channel} is a channel, and its release log does not know of this; "
            f"`kitpack adopt {channel}` writes it down",
            quiet=quiet,
        )


def refuse_removing(*references: str, force: bool, local: bool, quiet: bool, settings: Settings) -> None:
    """Keep channels and the records of their logs from being removed, unless ``--force`` says so.

    Raises:
        ReleaseError: When one of the names is such.
    """
    from kitpack.releases.guard import is_record

    settings = replace(settings, registry="")  # names without a host are removed from the local store
    for reference in references:
        tag = reference.rpartition(":")[2]
        where = "" if is_record(tag) else _channel(reference, local=local, settings=settings)
        if not where and not is_record(tag):
            continue
        told = f"{where} is a channel with a release log" if where else f"{reference} is a record of a release log"
        if not force:
            raise ReleaseError(
                f"{told}; removing it would leave the log unexplained",
                hint="`kitpack rollback` moves a channel back; --force removes it all the same",
            )
        say(f"warning: {told}, which `kitpack history --verify` will miss", quiet=quiet)


def _channel(name: str, *, local: bool, settings: Settings) -> str:
    """The channel that a name is, if it has a log; whatever is wrong with the name is said by whoever uses it."""
    from kitpack.places import find_home
    from kitpack.releases.guard import has_log

    try:
        home, tag = find_home(name, settings, local=local, channel=True)
        return f"{home.label}:{tag}" if has_log(home, tag) else ""
    except KitpackError:
        return ""
