"""The releases of a channel inside an application: loaded in full before they are served, remembered for bad times."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from kitpack.content.store.layout import Layout
from kitpack.errors import NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import OCI_MANIFEST
from kitpack.releases.home import Home
from kitpack.releases.record import Route
from kitpack.releases.watch import Standing
from kitpack.runtime.cache import Cache
from kitpack.runtime.loaded import LoadedBundle
from kitpack.runtime.routes import recall_routes, remember_routes
from kitpack.runtime.sources import noting

__all__ = ["Releases", "Serving"]

_log = logging.getLogger("kitpack.runtime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What is served at one moment. It never changes: a change is another one of these.

    Attributes:
        standing: The channel as it was seen.
        stable: What its tag stands for.
        beside: Who else gets traffic, and what.
    """

    standing: Standing
    stable: LoadedBundle
    beside: tuple[tuple[Route, LoadedBundle], ...] = ()

    @property
    def wanted(self) -> tuple[Digest, tuple[Route, ...]]:
        """What a channel must stand for so that nothing has to change."""
        return self.standing.tagged.digest, tuple(route for route, _ in self.beside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """The releases of a channel, as they are loaded and remembered.

    Attributes:
        home: Where the channel is.
        channel: The channel.
        cache: Where is remembered what it stood for.
        load_one: Loads a reference, with ``offline=True`` without asking anybody.
    """

    home: Home
    channel: str
    cache: Cache
    load_one: Callable[..., LoadedBundle]

    @property
    def label(self) -> str:
        """What the channel is called, and what the cache knows it by."""
        return f"{self.home.label}:{self.channel}"

    def serving(self, standing: Standing, before: Serving | None = None) -> Serving:
        """Load what a channel stands for, unless it is loaded already; remember it for a start without registry."""
        known = {before.standing.tagged.digest: before.stable} if before else {}
        known.update({route.digest: bundle for route, bundle in before.beside} if before else {})

        def bundle(digest: Digest) -> LoadedBundle:
            return known.get(digest) or self.load_one(self._named(digest))

        stable = bundle(standing.tagged.digest)
        serving = Serving(
            standing=standing,
            stable=stable,
            beside=tuple((route, bundle(route.digest)) for route in standing.routes),
        )
        if not isinstance(self.home.target, Layout):
            self._remember(standing.tagged, standing.routes)
        return serving

    def last_good(self) -> Serving:
        """What was served when the registry was last there.

        Raises:
            NotFoundError: When nothing was.
        """
        stable = self.load_one(self.label, offline=True)
        beside = []
        for route in recall_routes(self.cache, self.label, Digest.parse(stable.digest)):
            try:
                beside.append((route, self.load_one(self._named(route.digest), offline=True)))
            except NotFoundError:
                _log.warning("%s: %s gets no traffic, it is not here", self.label, route.version or route.digest)
        remembered = self.cache.recall(self.label)
        tagged = remembered.manifest if remembered else _unknown(Digest.parse(stable.digest))
        return Serving(standing=Standing(tagged=tagged), stable=stable, beside=tuple(beside))

    def _named(self, digest: Digest) -> str:
        # In a layout, a digest beside a tag would be held against what the tag stands for.
        name = self.home.label if isinstance(self.home.target, Layout) else self.label
        return f"{name}@{digest}"

    def _remember(self, tagged: Descriptor, routes: tuple[Route, ...]) -> None:
        with noting("note what a channel stands for"):
            remember_routes(self.cache, self.label, tagged.digest, routes)
            self.cache.remember(self.label, tagged)


def _unknown(digest: Digest) -> Descriptor:
    """A manifest of which nothing is known but its digest: the next look at the registry will not find it equal."""
    return Descriptor(media_type=OCI_MANIFEST, digest=digest, size=0)
