"""From what a user types to a place of content: the local store, a layout anywhere, or a repository of a registry.

A reference with a host is a repository. One without is the local store; ``KITPACK_REGISTRY`` gives it a home, so that
what the store lacks is found there, and what is pushed goes there.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.content.store.layout import Layout
from kitpack.content.target import ListsTags, ReadsNamed, Source, Target
from kitpack.errors import (
    IntegrityError,
    InvalidReferenceError,
    KitpackError,
    NotFoundError,
    UnreachableError,
    UsageError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.reference import LAYOUT_SCHEME, LayoutReference, Reference, is_tag, looks_like_host, path_error
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.releases.home import Home

__all__ = [
    "Place",
    "at_home",
    "find",
    "find_home",
    "hosted_place",
    "local_place",
    "local_store",
    "registry_of",
    "remote_place",
    "remote_repository",
    "store_of",
    "target_place",
]


_LOGGER = logging.getLogger("kitpack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something that can be resolved, or tagged.

    Attributes:
        target: Where it is.
        name: What finds it there: a tag, or a digest when the user gave one.
        tag: What to tag it with there; empty when the user gave a digest alone. In the local store, tags are whole
            references.
        label: What to call it in front of the user.
        moment: When the tag is a channel: the moment whose release is meant.
        pins: Where the ends of release logs are remembered.
        before: Where it was looked for before, in vain.
        kept: Where the very same name is looked for when the registry does not help, to tell the user.
    """

    target: Target
    name: str
    tag: str
    label: str
    moment: str = ""
    pins: Path | None = None
    before: Place | None = None
    kept: Place | None = None

    def resolve(self, *, reading: bool = False) -> Descriptor:
        """Find the manifest.

        Args:
            reading: Whether it is going to be read in any case, so that it may be brought along at once.

        Raises:
            NotFoundError: When it is not there, naming what is.
            IntegrityError: When tag and digest were both given and name different content.
            UnreachableError: When the registry does not answer.
        """
        if self.moment:
            return self._resolve_moment()
        try:
            found = _found(self.target, self.name) if reading else self.target.resolve(self.name)
            tagged = self.target.resolve(self.tag) if self.tag not in ("", self.name) else found
        except NotFoundError as error:
            raise self._absent(error) from None
        except UnreachableError as error:
            near = self.before.nearest() if self.before else ""
            meant = f"did you mean {near}, in the local store? if not, {error.hint}" if near else error.hint
            raise UnreachableError(error.message, hint=self._kept_hint() or meant) from None
        if tagged.digest != found.digest:
            raise IntegrityError(
                f"{self.label}: the tag {self.tag!r} names {tagged.digest}, not the digest that was given",
                hint="leave out the tag or the digest",
            )
        return found

    def _resolve_moment(self) -> Descriptor:
        """Find what was live at a moment, and say in the log of this process which record says so."""
        from kitpack.releases.answer import find_answer, told

        answered = find_answer(self.target, self.tag, self.moment, self.label, self.pins)
        _LOGGER.info("%s", told(answered, self.label))
        return self.target.resolve(str(answered.record.target))

    def require_tag(self) -> str:
        """The tag to give to something that is put here.

        Raises:
            UsageError: When the user gave a digest instead.
        """
        if not self.tag:
            raise UsageError(
                f"{self.label} has no tag; what is written here gets its digest by itself", hint="add :TAG"
            )
        return self.tag

    def _absent(self, error: NotFoundError) -> NotFoundError:
        from kitpack.absence import not_in_layout, not_in_repository

        if isinstance(self.target, Layout):
            return not_in_layout(self.target, self.label, self.name, error)
        near = self.before.nearest() if self.before else ""
        absent = not_in_repository(self.target, Reference.parse(self.label), near)
        return NotFoundError(absent.message, hint=self._kept_hint() or absent.hint)

    def _kept_hint(self) -> str:
        """What to do when the local store has what was asked for."""
        try:
            if self.kept is None or not _is_there(self.kept.target, self.kept.name):
                return ""
        except (KitpackError, OSError):  # what is wrong with the local store was not asked
            return ""
        return f"the local store has {self.label}: add --local to use that, or send it with `kitpack push {self.label}`"

    def nearest(self) -> str:
        """The name here that comes nearest, or an empty string."""
        from kitpack.absence import nearest_name

        try:
            return nearest_name(self.name, self.target.tags()) if isinstance(self.target, ListsTags) else ""
        except KitpackError:
            return ""


def local_store(settings: Settings) -> Layout:
    """The local store; it is made by the first write."""
    return Layout(settings.home)


def store_of(text: str, settings: Settings) -> Layout:
    """The local store, or the layout that ``oci:DIR`` names.

    Raises:
        UsageError: When the text names something else.
    """
    if text and not text.startswith(LAYOUT_SCHEME):
        raise UsageError(
            f"{text} is not a layout",
            hint="leave it out for the local store, or write oci:DIR; a registry keeps house by itself",
        )
    return Layout(Path(LayoutReference.parse(text).path)) if text else local_store(settings)


def registry_of(text: str) -> str:
    """The host of a registry, however the user wrote it: ``https://HOST/v2/`` and ``HOST/NAME`` mean ``HOST``.

    Raises:
        InvalidReferenceError: When it is not a host.
    """
    host = text.partition("://")[2] or text
    host = host.partition("/")[0]
    known = Reference.parse_repository(f"{host}/x").registry
    return known or Reference.parse_repository(f"{host}:443/x").registry.removesuffix(":443")


def local_place(text: str, settings: Settings) -> Place:
    """A name in the local store, with or without a host in it, or in a layout (``oci:DIR:TAG``).

    Raises:
        InvalidReferenceError: When the text breaks the grammar.
    """
    if text.startswith(LAYOUT_SCHEME):
        return _layout_place(text)
    reference = _parsed(text)
    tag = str(replace(reference, digest=None, moment="")) if reference.tag else ""
    name = str(reference.digest) if reference.digest else tag
    return Place(
        target=local_store(settings), name=name, tag=tag, label=text, moment=reference.moment, pins=settings.pins
    )


def remote_place(text: str, settings: Settings) -> Place:
    """A reference in a registry.

    Raises:
        InvalidReferenceError: When the text breaks the grammar.
        UsageError: When it has no host, and no registry is configured.
    """
    reference = at_home(_parsed(text), settings)
    target = remote_repository(reference, settings)
    return Place(
        target=target,
        name=reference.selector,
        tag=reference.tag,
        label=str(reference),
        moment=reference.moment,
        pins=settings.pins,
    )


def target_place(text: str, settings: Settings) -> Place:
    """Where to push or copy something: a layout, or a repository."""
    return _layout_place(text) if text.startswith(LAYOUT_SCHEME) else remote_place(text, settings)


def find(text: str, settings: Settings, *, local: bool = False) -> Place:
    """Where a reference is to be read from.

    Args:
        text: What the user typed.
        settings: The surroundings.
        local: Whether to look into the local store only, whatever the reference says.

    Raises:
        InvalidReferenceError: When the text breaks the grammar.
    """
    if local or text.startswith(LAYOUT_SCHEME):
        return local_place(text, settings)
    reference = _parsed(text)
    if reference.registry or (reference.moment and settings.registry):  # channels are where releases are made
        return hosted_place(text, settings)
    place = local_place(text, settings)
    if settings.registry and not _is_there(place.target, place.name):
        return replace(hosted_place(text, settings), before=place)
    return place


def hosted_place(text: str, settings: Settings) -> Place:
    """A reference in a registry, for a user who may have meant the local store, where the same name can be.

    Raises:
        As :func:`remote_place`.
    """
    place = remote_place(text, settings)
    return replace(place, kept=local_place(place.label, settings))


def remote_repository(reference: Reference, settings: Settings) -> Target:
    """The repository of a reference that has a host."""
    from kitpack.content.registry.repository import Repository

    return Repository(reference.registry, reference.repository, settings)


def at_home(reference: Reference, settings: Settings) -> Reference:
    """The same reference with a host: its own, or the one that is configured.

    Raises:
        UsageError: When it has none, and none is configured.
    """
    if reference.registry:
        return reference
    if not settings.registry and looks_like_host(str(reference)):
        raise UsageError(
            f"{reference} is a registry, not a bundle in it", hint=f"name the bundle, too: {reference}/NAME:TAG"
        )
    if not settings.registry:
        raise UsageError(
            f"{reference} names no registry, and none is configured",
            hint=f"write HOST/{reference}, or set KITPACK_REGISTRY to HOST or HOST/PREFIX",
        )
    home = Reference.parse_repository(f"{settings.registry}/{reference.repository}")
    return replace(home, tag=reference.tag, digest=reference.digest, moment=reference.moment)


def _layout_place(text: str) -> Place:
    reference = LayoutReference.parse(text)
    if not reference.selector:
        raise UsageError(f"{text} names no bundle in the layout", hint=f"write {text}:TAG (`kitpack list {text}`)")
    return Place(
        target=Layout(Path(reference.path)),
        name=reference.selector,
        tag=reference.tag,
        label=text,
        moment=reference.moment,
    )


def _parsed(text: str) -> Reference:
    """A reference; a folder that exists is not one with something missing."""
    try:
        return Reference.parse(text)
    except InvalidReferenceError:
        if os.path.isdir(text):  # noqa: PTH112 - Path.is_dir() fails for names that no folder can have
            raise path_error(text) from None
        raise


def _found(source: Source, name: str) -> Descriptor:
    """What a name stands for. Where that is one step, the manifest is read at once: it is what is wanted next."""
    return source.fetch_named(name).descriptor if isinstance(source, ReadsNamed) else source.resolve(name)


def _is_there(source: Source, name: str) -> bool:
    try:
        source.resolve(name)
    except NotFoundError:
        return False
    return True


def find_home(
    text: str, settings: Settings, *, local: bool = False, whole: bool = True, channel: bool = False
) -> tuple[Home, str]:
    """Where the releases of a bundle are kept, and which of its tags or digests was named.

    What was live at a moment is named by its digest.

    Args:
        text: What the user typed.
        settings: The surroundings.
        local: Whether the local store is meant, whatever the text says.
        whole: Whether a tag or digest must be named.
        channel: Whether the tag must be a channel, and no moment of it is meant.

    Raises:
        InvalidReferenceError: When the text breaks the grammar.
        UsageError: When it names no tag, or no channel, and one is needed.
        NotFoundError, LogError: When a moment is named and the release log does not tell.
    """
    from kitpack.releases.home import Home  # late, as all of releases: most commands know none

    moment = ""
    if text.startswith(LAYOUT_SCHEME):
        layout = LayoutReference.parse(text)
        moment = layout.moment
        label = f"{LAYOUT_SCHEME}{layout.path}"
        home, selector = Home(target=Layout(Path(layout.path)), label=label), layout.selector
    else:
        reference = Reference.parse_repository(text)
        moment = reference.moment
        if reference.registry or settings.registry:
            reference = at_home(reference, settings)
        selector = reference.selector
        if local or not reference.registry:
            home = Home(target=local_store(settings), prefix=f"{reference.name}:", label=reference.name)
        else:
            home = Home(target=remote_repository(reference, settings), label=reference.name)
    if whole and not selector:
        raise UsageError(f"{text} names a bundle, but none of its tags", hint=f"write {text}:CHANNEL")
    if channel and (moment or not is_tag(selector)):
        raise UsageError(f"{text} is a release, not a channel", hint=f"write {home.label}:CHANNEL")
    if moment:
        from datetime import UTC, datetime

        from kitpack.releases.answer import answer_from, told
        from kitpack.releases.moment import parse_moment

        answered = answer_from(home, selector, parse_moment(moment, datetime.now(UTC)), settings.pins)
        _LOGGER.info("%s", told(answered, text))
        selector = str(answered.record.target)
    return home, selector
