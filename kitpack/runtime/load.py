"""Bundles inside an application, from a folder, the local store or a registry.

::

    bot = kitpack.load("localhost:5000/team/assistant:production")
    bot.prompt("triage").render(customer_tier="gold", ticket="…").messages
    bot.configs["prompt_config"], bot.model_path, bot.digest

A registry is asked once per load what a tag stands for now; what was loaded before is not fetched again, and a digest
is not even asked for. When the registry cannot be reached, the last verified copy is served, and says so.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import cast
from weakref import WeakSet

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.inspecting.prompts import bundle_prompts
from kitpack.artifact.smallfiles import read_files
from kitpack.content.copy import leased
from kitpack.content.events import OnEvent, ignore
from kitpack.content.registry.repository import Repository
from kitpack.content.store.folder import blob_path
from kitpack.content.store.layout import Layout
from kitpack.content.target import Source
from kitpack.errors import (
    IntegrityError,
    InvalidDigestError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    StoreError,
    UnreachableError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.places import Place, find, local_place, local_store
from kitpack.prompts.meter import Limits
from kitpack.runtime.cache import Cache
from kitpack.runtime.loaded import Contents, LoadedBundle
from kitpack.runtime.served import Filters
from kitpack.runtime.sources import Kept, noting
from kitpack.settings import Settings
from kitpack.verbs import is_folder

__all__ = ["load", "loaded"]

_log = logging.getLogger("kitpack.runtime")

_LOADED: WeakSet[LoadedBundle] = WeakSet()

_TRIES = 2
_TIMEOUTS = (3.0, 10.0)
"""How patient to be with a registry, tries and seconds, when there is a copy to go on with."""


def load(
    reference: str | PathLike[str],
    *,
    offline: bool = False,
    local: bool = False,
    accept_changes: bool = False,
    filters: Filters | None = None,
    limits: Limits | None = None,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> LoadedBundle:
    """Load a bundle: its prompts and configs at once, its weights when they are asked for.

    Args:
        reference: A folder (that an author works in, that was unpacked, or just with prompts in it), a tag of the local
            store, a reference in a registry, or ``oci:DIR:TAG``.
        offline: Whether to ask no registry, and serve what was loaded before or is in the local store.
        local: Whether to look into the local store only, even if the reference names a registry.
        accept_changes: Whether an unpacked folder may differ from the bundle it came from; it has no digest then.
        filters: Functions for the filters that prompts declare without a format, by name.
        limits: How much text and time a rendering may take.
        settings: The surroundings.
        on_event: Told about the progress of weights.

    Raises:
        NotFoundError: When it is not there.
        RegistryError: When the registry refuses, or cannot be reached and nothing was loaded from it before.
        IntegrityError, VerifyError: When content is not what was packed.
    """
    if is_folder(reference):
        from kitpack.runtime.folders import folder_contents

        contents = folder_contents(Path(reference), accept_changes=accept_changes)
    else:
        settings = settings or Settings.from_env()
        place = find(str(reference), settings, local=local)
        loading = _Loading(
            place=place, cache=Cache.of(settings), settings=settings, may_ask=not offline, on_event=on_event
        )
        if isinstance(place.target, Layout):
            contents = loading.from_store(place)
        else:
            contents = loading.online() if loading.may_ask else loading.offline()
    bundle = LoadedBundle(contents, filters=filters, limits=limits)
    _LOADED.add(bundle)
    return bundle


def loaded() -> list[LoadedBundle]:
    """The bundles that this process has loaded and still holds: what is running right now."""
    return sorted(_LOADED, key=lambda one: (one.reference, one.resolved_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loading:
    """One load from a store or a registry."""

    place: Place
    cache: Cache
    settings: Settings
    may_ask: bool
    on_event: OnEvent

    def from_store(self, place: Place, *, is_stale: bool = False) -> Contents:
        """What a local store or a layout holds; small content is read from it and proven, weights are linked."""
        descriptor, store = place.resolve(), cast("Layout", place.target)
        with leased(store):
            verified = _stored_at(store, descriptor) if is_stale else datetime.now(UTC)
            return self._contents(Bundle(store, descriptor), store, verified, is_stale=is_stale)

    def online(self) -> Contents:
        """What the registry says now, or else the last verified copy."""
        pinned = _digest(self.place.name)
        if pinned and (copy := self._pinned(pinned)):
            return copy
        place = self._hurried() if self.cache.recall(self.place.label) else self.place
        try:
            return self._asked(replace(place, tag="") if pinned else place)
        except (UnreachableError, RateLimitedError) as error:
            failure: RegistryError = error
        except RegistryError as error:
            if error.status < 500:
                raise
            failure = error
        finally:
            _close(place.target)
        copy = self._last_copy()
        if copy is None:
            raise failure
        _log.warning("%s; serving %s, %s", failure.message, copy.digest, _told(copy.resolved_at))
        return copy

    def offline(self) -> Contents:
        """The last verified copy, without asking anybody.

        Raises:
            NotFoundError: When there is none.
        """
        pinned = _digest(self.place.name)
        copy = self._pinned(pinned) if pinned else self._last_copy()
        if copy is None:
            raise NotFoundError(
                f"{self.place.label} was never loaded here, nor is it in the local store, and no registry may be asked",
                hint=f"bring it here with the registry within reach: kitpack pull {self.place.label}",
            )
        return copy

    def _asked(self, place: Place) -> Contents:
        """What a registry says now; what is not here yet is fetched and kept, and the reference noted last of all."""
        descriptor = place.resolve()
        jobs = 1 if self.cache.bundle(descriptor.digest) else self.settings.jobs
        contents = self._kept(descriptor, (place.target,), datetime.now(UTC), jobs=jobs)
        with noting("note what a reference stands for"):
            self.cache.use(descriptor)
            if place.tag:
                self.cache.remember(self.place.label, descriptor)
        return contents

    def _pinned(self, digest: Digest) -> Contents | None:
        """A bundle whose digest was asked for, when it is here: it cannot have become another one."""
        known = self.cache.bundle(digest)
        try:
            if known:
                return self._kept(known, (), datetime.now(UTC))
            return self.from_store(local_place(self.place.label, self.settings))
        except (NotFoundError, StoreError, IntegrityError):
            return None

    def _last_copy(self) -> Contents | None:
        """What the reference stood for when the registry was last asked, or when it was pulled."""
        last = self.cache.recall(self.place.label)
        if last:
            with suppress(NotFoundError, RegistryError):  # something of it was lost, and cannot be fetched now
                return self._kept(last.manifest, (), last.verified, is_stale=True)
        with suppress(NotFoundError, StoreError):
            return self.from_store(local_place(self.place.label, self.settings), is_stale=True)
        return None

    def _kept(
        self,
        descriptor: Descriptor,
        registries: tuple[Source, ...],
        verified: datetime,
        *,
        is_stale: bool = False,
        jobs: int = 1,
    ) -> Contents:
        """A bundle out of the cache, or through it."""
        store = local_store(self.settings)
        with leased(self.cache, store):
            bundle = Bundle(Kept(self.cache, store, *registries), descriptor)
            if jobs > 1:  # all at once, instead of one kind after the other
                read_files(bundle, {"prompt", "config", "kitfile"}, jobs=jobs)
            return self._contents(bundle, store, verified, is_stale=is_stale)

    def _contents(self, bundle: Bundle, store: Layout, verified: datetime, *, is_stale: bool) -> Contents:
        configs = read_files(bundle, {"config"}, jobs=1)
        return Contents(
            reference=self.place.label,
            digest=str(bundle.descriptor.digest),
            version=_version(bundle),
            resolved_at=verified,
            is_stale=is_stale,
            prompts=bundle_prompts(bundle, jobs=1),
            configs={path: raw for path, raw in configs.items() if raw is not None},
            place_model=partial(self._place_model, bundle.descriptor, store),
        )

    def _place_model(self, descriptor: Descriptor, store: Layout) -> Path:
        from kitpack.runtime.weights import place_weights

        registry = self.place.target
        sources = () if isinstance(registry, Layout) or not self.may_ask else (registry,)
        bundle = Bundle(Kept(self.cache, store, *sources), descriptor)
        try:
            return place_weights(bundle, self.cache, store, jobs=self.settings.jobs, on_event=self.on_event)
        finally:
            _close(registry)

    def _hurried(self) -> Place:
        """The same place, asked with little patience, as there is a copy to go on with."""
        from kitpack.content.registry.transport import Transport

        target = self.place.target
        if not isinstance(target, Repository):
            return self.place
        transport = Transport(target.registry, self.settings, timeouts=_TIMEOUTS)
        transport.retry.tries = _TRIES
        return replace(self.place, target=Repository(target.registry, target.name, self.settings, transport=transport))


def _close(source: Source) -> None:
    """Give back connections: an application loads rarely, and lives long."""
    if isinstance(source, Repository):
        source.close()


def _digest(name: str) -> Digest | None:
    try:
        return Digest.parse(name)
    except InvalidDigestError:
        return None


def _stored_at(store: Layout, descriptor: Descriptor) -> datetime:
    """When a manifest came into a local store."""
    return datetime.fromtimestamp(blob_path(store.path, descriptor.digest).stat().st_mtime, UTC)


def _version(bundle: Bundle) -> str:
    package = bundle.declared.get("package")
    version = package.get("version") if isinstance(package, dict) else ""
    return version if isinstance(version, str) else ""


def _told(verified: datetime) -> str:
    """How old a copy is, for a person."""
    age = max(datetime.now(UTC) - verified, timedelta())
    return f"verified {timedelta(seconds=int(age.total_seconds()))} ago ({verified:%Y-%m-%d %H:%M:%S} UTC)"
