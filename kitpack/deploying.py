"""Releases as files on a host: put in place whole, switched in one step, switched back without moving a byte.

::

    from kitpack import deploying

    deploying.deploy("localhost:5000/team/assistant:production", "/srv/assistant")
    deploying.rollback("/srv/assistant")                 # needs no network, and no registry

The stable release of a channel is deployed; who gets which part of the traffic is for applications to decide
(:mod:`kitpack.runtime.follow`). How the folder looks stands in :mod:`kitpack.artifact.unpacking.deployed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.deployed import Built, ReleaseFolder, release_name
from kitpack.artifact.unpacking.deploylog import Action, Entry, go_back_to, last_change
from kitpack.artifact.unpacking.inherit import load_record
from kitpack.content.events import OnEvent, ignore
from kitpack.content.nearest import Nearest
from kitpack.content.registry.impatient import impatient
from kitpack.content.store.layout import Layout
from kitpack.content.target import Source
from kitpack.errors import KitpackError, NotFoundError, ReleaseError, UsageError, VerifyError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.places import find_home, local_store
from kitpack.releases.home import Home
from kitpack.releases.watch import Watch, pause
from kitpack.releases.writing import version_of
from kitpack.settings import Settings
from kitpack.verbs import look

__all__ = ["KEPT", "Deployed", "Notify", "deploy", "rollback", "watch"]

KEPT = 3
"""Releases that stay in the folder, the live one among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What is live in a folder now, and how it came to be.

    Attributes:
        folder: The folder of the release; ``current`` leads there.
        reference: What it was deployed by.
        digest: The bundle.
        version: Its version.
        action: Why it is live.
        before: The digest that was live before; empty when none was.
        changed: Whether another release is live than before.
        written: Bytes of files that came from a registry or the local store.
        shared: Bytes of files that were taken over from earlier releases.
        removed: Names of releases that were removed.
    """

    folder: Path
    reference: str
    digest: str
    version: str = ""
    action: Action = "deploy"
    before: str = ""
    changed: bool = True
    written: int = 0
    shared: int = 0
    removed: tuple[str, ...] = ()


Notify: TypeAlias = Callable[[Deployed], None]
"""Told when another release has become live, to reload an application for example. When it raises an error that is
raised on purpose, or an ``OSError``, the release from before becomes live again, and it is told of that, too."""


def deploy(
    reference: str,
    folder: str | PathLike[str],
    *,
    only: Iterable[str] = (),
    keep: int = KEPT,
    local: bool = False,
    notify: Notify | None = None,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Deployed:
    """Make a release live in a folder; nothing changes there before all of it is in place and proven.

    Args:
        reference: Bundle and channel, such as ``localhost:5000/team/assistant:production``; a version does as well.
        folder: The folder of releases.
        only: Types (``prompts``, ``configs``, …), paths and globs; nothing means everything.
        keep: How many releases stay there. The live one always does, and so does the one that a rollback restores.
        local: Whether to look into the local store only.
        notify: Told when another release has become live.
        settings: The surroundings.
        on_event: Told about progress.

    Raises:
        NotFoundError, RegistryError, IntegrityError, UnpackError: When the release cannot be brought; what was live is.
        FileConflictError: When ``current`` is something that was not deployed.
        StoreError: When another process is deploying there.
        ReleaseError: When ``notify`` failed.
    """
    settings = settings or Settings.from_env()
    if "@{" in reference:
        bundle = look(reference, local=local, settings=settings)
    else:
        home, selector = find_home(reference, settings, local=local)
        bundle = _bundle(home, _resolved(home, selector), settings)
    work = _Work(ReleaseFolder(Path(folder)), reference, Selection.parse(only), keep, notify, settings, on_event)
    return work.make_live(bundle)


def rollback(folder: str | PathLike[str], *, keep: int = KEPT, notify: Notify | None = None) -> Deployed:
    """Make live again what was before, in one folder and without asking anybody. Once more goes further back.

    Whoever watches the channel for this folder waits until something else is live there.

    Args:
        folder: The folder of releases.
        keep: As for :func:`deploy`.
        notify: As for :func:`deploy`.

    Raises:
        NotFoundError: When nothing is left to go back to.
        VerifyError: When files of that release were changed or removed.
        StoreError, FileConflictError, ReleaseError: As :func:`deploy`.
    """
    releases = ReleaseFolder(Path(folder))
    if not releases.entries():
        raise NotFoundError(f"nothing was deployed into {folder}", hint=f"kitpack deploy REPO:CHANNEL {folder}")
    with releases.locked():
        live, entries = releases.current(), releases.entries()
        name = next(iter(go_back_to(entries, live)), "")
        if not name or not releases.release(name).is_dir():
            raise NotFoundError(
                f"{folder} has no release from before {live or 'now'}"
                + (f"; {name} was removed (--keep)" if name else ""),
                hint=f"kitpack deploy REPO:VERSION {folder}",
            )
        if not releases.is_whole(name):
            raise VerifyError(
                f"files of {releases.release(name)} were changed or removed; {live} stays live",
                hint=f"kitpack verify {releases.release(name)}",
            )
        deployed = next((one for one in reversed(entries) if one.release == name), None)
        entry = Entry(
            time=datetime.now(UTC),
            action="rollback",
            release=name,
            before=live,
            digest=_digest_in(releases, name),
            version=deployed.version if deployed else "",
            reference=deployed.reference if deployed else "",
        )
        done = _switch(releases, entry, notify)
        _prune(releases, keep)
        return done


def watch(  # noqa: PLR0913 - what deploy takes, and whom to tell
    reference: str,
    folder: str | PathLike[str],
    *,
    wait: Callable[[float], bool],
    on_deployed: Callable[[Deployed], None],
    on_trouble: Callable[[KitpackError | OSError], None],
    interval: float = 10.0,
    only: Iterable[str] = (),
    keep: int = KEPT,
    local: bool = False,
    notify: Notify | None = None,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> None:
    """Deploy what is live at a channel, and again whenever that changes, until told to end.

    A look at the channel is one request. What goes wrong is told once, and tried again, less and less often. A release
    that was rolled back in this folder, or that ``notify`` refused, is not deployed again before the channel has moved.

    Args:
        reference: Bundle and channel.
        folder: The folder of releases.
        wait: Waits so many seconds, and says whether to end.
        on_deployed: Told about each deployment.
        on_trouble: Told about a failure, when it begins.
        interval: Seconds between looks, at most.
        only: As for :func:`deploy`.
        keep: As for :func:`deploy`.
        local: As for :func:`deploy`.
        notify: As for :func:`deploy`.
        settings: As for :func:`deploy`.
        on_event: As for :func:`deploy`; when it raises KeyboardInterrupt, a transfer breaks off, to be gone on with.

    Raises:
        UsageError: When the reference names no channel.
    """
    settings = settings or Settings.from_env()
    if "@" in reference.rpartition("/")[2]:
        raise UsageError(f"{reference} never changes, so there is nothing to watch", hint="name a channel")
    home, channel = find_home(reference, settings, local=local)
    releases, chosen = ReleaseFolder(Path(folder)), Selection.parse(only)
    work = _Work(releases, reference, chosen, keep, notify, settings, on_event)
    hurried = replace(home, target=impatient(home.target, settings, wait))
    watching, seen, failures, trouble = Watch(hurried, channel, routes=False), "", 0, ""
    while not wait(pause(interval, failures) if seen or failures else 0):
        try:
            found = watching.look().tagged
            if str(found.digest) != seen and not _is_held(releases, release_name(found.digest, chosen)):
                on_deployed(work.make_live(_bundle(home, found, settings)))
            seen, failures, trouble = str(found.digest), 0, ""
        except (KitpackError, OSError) as error:
            failures += 1
            if type(error).__name__ != trouble:
                trouble = type(error).__name__
                on_trouble(error)


@dataclass(frozen=True, slots=True)
class _Work:
    """Deployments into one folder."""

    releases: ReleaseFolder
    reference: str
    only: Selection
    keep: int
    notify: Notify | None
    settings: Settings
    on_event: OnEvent

    def make_live(self, bundle: Bundle) -> Deployed:
        """Bring a bundle to its place and make it live."""
        releases, digest = self.releases, bundle.descriptor.digest
        name = release_name(digest, self.only)
        with releases.locked():
            live = releases.current()
            built = self._brought(bundle, name)
            entry = Entry(
                time=datetime.now(UTC),
                action="deploy",
                release=name,
                before=live,
                digest=str(digest),
                version=version_of(bundle.manifest),
                reference=self.reference,
            )
            done = _told(releases, entry, built) if live == name else _switch(releases, entry, self.notify, built)
            return _with_removed(done, _prune(releases, self.keep))

    def _brought(self, bundle: Bundle, name: str) -> Built:
        jobs = self.settings.jobs
        if not self.releases.holds(name, bundle.descriptor.digest):
            return self.releases.build(
                bundle, name, reference=self.reference, only=self.only, jobs=jobs, on_event=self.on_event
            )
        if not self.releases.is_whole(name):
            self.releases.mend(bundle, name, reference=self.reference, only=self.only, jobs=jobs)
        return Built()


def _resolved(home: Home, selector: str) -> Descriptor:
    is_digest = ":" in selector  # which no tag has
    return home.target.resolve(selector if is_digest else f"{home.prefix}{selector}")


def _bundle(home: Home, descriptor: Descriptor, settings: Settings) -> Bundle:
    source: Source = home.target
    return Bundle(source if isinstance(source, Layout) else Nearest(local_store(settings), source), descriptor)


def _switch(releases: ReleaseFolder, entry: Entry, notify: Notify | None, built: Built | None = None) -> Deployed:
    """Make a release live and tell; switch back when that fails.

    Raises:
        ReleaseError: When it does.
    """
    releases.switch(entry)
    done = _told(releases, entry, built or Built())
    if notify is None:
        return done
    try:
        notify(done)
    except (KitpackError, OSError) as error:
        told = error.message if isinstance(error, KitpackError) else str(error)
        raise ReleaseError(
            f"{entry.version or entry.release} was live in {releases.path} when {told}; "
            + (_reverted(releases, entry, notify) if entry.before else "it stays live, as nothing was before it"),
            hint=f"mend that, then deploy again; {releases.release(entry.release)} is still there",
        ) from None
    return done


def _reverted(releases: ReleaseFolder, failed: Entry, notify: Notify) -> str:
    """Make live what was before a change that nobody could live with; say how it went."""
    entry = Entry(
        time=datetime.now(UTC),
        action="revert",
        release=failed.before,
        before=failed.release,
        digest=_digest_in(releases, failed.before),
        version=next((one.version for one in releases.entries() if one.release == failed.before), ""),
        reference=failed.reference,
    )
    releases.switch(entry)
    back = f"{entry.version or entry.release} is live again"
    try:
        notify(_told(releases, entry, Built()))
    except (KitpackError, OSError) as error:
        return f"{back}, but {error.message if isinstance(error, KitpackError) else error}"
    return back


def _told(releases: ReleaseFolder, entry: Entry, built: Built) -> Deployed:
    return Deployed(
        folder=releases.release(entry.release),
        reference=entry.reference,
        digest=entry.digest,
        version=entry.version,
        action=entry.action,
        before=_digest_in(releases, entry.before) if entry.before else "",
        changed=entry.before != entry.release,
        written=built.written,
        shared=built.shared,
    )


def _with_removed(done: Deployed, removed: Sequence[str]) -> Deployed:
    return replace(done, removed=tuple(removed))


def _prune(releases: ReleaseFolder, keep: int) -> list[str]:
    """Keep what is live, then what rollbacks restore, then the newest of the others."""
    live = releases.current()
    back = [one for one in go_back_to(releases.entries(), live) if releases.release(one).is_dir()]
    ranked = dict.fromkeys([live, *back, *releases.names()])
    return releases.prune([*ranked][: max(keep, 2)] if back else [*ranked][: max(keep, 1)])


def _is_held(releases: ReleaseFolder, name: str) -> bool:
    """Whether a release was given up in this folder, and nothing was deployed since."""
    last = last_change(releases.entries(), releases.current())
    return last is not None and last.action != "deploy" and last.before == name


def _digest_in(releases: ReleaseFolder, name: str) -> str:
    record = load_record(releases.release(name))
    return str(Digest.parse(record.digest)) if record and record.digest else ""
