"""A bundle inside an application: its prompts and configs at once, its weights when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath

from kitpack.artifact.inspecting.prompts import Prompts
from kitpack.errors import Issue, NotFoundError, PromptError
from kitpack.oci.jsontext import Json
from kitpack.prompts.meter import Limits
from kitpack.runtime.configs import Configs
from kitpack.runtime.identity import Identity
from kitpack.runtime.served import Filters, LoadedPrompt

__all__ = ["Contents", "LoadedBundle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a loaded bundle is made of, wherever it came from.

    Attributes:
        reference: What it was asked for by, or its folder.
        digest: Its manifest; empty for a folder that was never packed.
        version: The version of the package, if it has one.
        resolved_at: When it was last made sure that the reference stands for this digest.
        is_stale: Whether that could not be asked now.
        prompts: Its prompts.
        configs: The bytes of its configs by path.
        place_model: Brings the weights, proven, and says where they are.
    """

    reference: str
    digest: str = ""
    version: str = ""
    resolved_at: datetime
    is_stale: bool = False
    prompts: Prompts
    configs: Mapping[str, bytes]
    place_model: Callable[[], Path]


class LoadedBundle:
    """A bundle inside an application; :func:`kitpack.load` makes them. It never changes, and threads may share it.

    Args:
        contents: What it is made of.
        filters: Functions for the filters that prompts declare without a format.
        limits: How much text and time a rendering may take.
    """

    def __init__(self, contents: Contents, *, filters: Filters | None = None, limits: Limits | None = None) -> None:
        self._contents = contents
        self._names: dict[str, list[LoadedPrompt]] = {}
        for prompt in contents.prompts.found:
            loaded = LoadedPrompt(prompt, self.identity, filters=filters, limits=limits)
            self._names.setdefault(prompt.name, []).append(loaded)

    def __repr__(self) -> str:
        stale = f", as of {self.resolved_at:%Y-%m-%d %H:%M:%S %Z}" if self.is_stale else ""
        return f"LoadedBundle({self.reference!r}, {self.digest or 'not packed'}{stale})"

    @property
    def reference(self) -> str:
        """What it was asked for by, or its folder."""
        return self._contents.reference

    @property
    def digest(self) -> str:
        """The digest of its manifest; empty for a folder that was never packed."""
        return self._contents.digest

    @property
    def version(self) -> str:
        """The version of its package, exactly as written; empty when it has none."""
        return self._contents.version

    @property
    def resolved_at(self) -> datetime:
        """When it was last made sure that the reference stands for this digest, in UTC."""
        return self._contents.resolved_at

    @property
    def is_stale(self) -> bool:
        """Whether this is the last verified copy, because the registry could not be asked."""
        return self._contents.is_stale

    @property
    def age(self) -> timedelta:
        """The time since :attr:`resolved_at`."""
        return datetime.now(UTC) - self.resolved_at

    @cached_property
    def identity(self) -> Identity:
        """Which bundle it is, without a prompt."""
        return Identity(prompt_version=self.version, bundle_reference=self.reference, bundle_digest=self.digest)

    @cached_property
    def prompts(self) -> Mapping[str, LoadedPrompt]:
        """Its prompts by name, in the order of their files, without those that :attr:`faults` speaks of."""
        return {name: found[0] for name, found in self._names.items() if len(found) == 1}

    @property
    def faults(self) -> tuple[Issue, ...]:
        """What is wrong with prompts that could not be read, or whose names are not unique."""
        return self._contents.prompts.faults

    @cached_property
    def configs(self) -> Configs:
        """Its configs by path, by file name, or by that without its suffix: ``bundle.configs["prompt_config"]``."""
        return Configs(self._contents.configs)

    @property
    def model_path(self) -> Path:
        """The file of its model, or the folder where the model is one; further parts stand at their own paths.

        Nothing of the weights is fetched before this is asked for. They are proven against their digests, once for
        as long as nobody touches the files, and not to be written to: other versions may share them.

        Raises:
            NotFoundError: When the bundle has no model, or a folder lacks its file.
            IntegrityError: When the bytes are not what was packed.
            RegistryError: When they have to be fetched and cannot be.
        """
        return self._contents.place_model()

    def prompt(self, name: str) -> LoadedPrompt:
        """A prompt by its name.

        Raises:
            NotFoundError: When there is none; says which name comes near.
            PromptError: When the prompt of that name has faults, or several have the name.
        """
        found = self._names.get(name, [])
        if len(found) == 1:
            return found[0]
        paths = {one.prompt.path for one in found}
        if about := [issue for issue in self.faults if issue.path in paths or (not found and _is_about(issue, name))]:
            raise PromptError(about)
        raise self._no_prompt(name)

    def config(self, name: str, environment: str = "") -> Json:
        """A config, as it holds in one environment if one is given.

        What stands under the config's key ``environments`` for that environment is laid over the rest of it: objects
        member by member, everything else instead of what was there.

        Args:
            name: Its path, or its file name with or without the suffix.
            environment: Such as ``production``; empty for the config as it is written.

        Raises:
            NotFoundError: When there is no such config, or it does not know the environment.
            PromptError: When it cannot be parsed.
        """
        return self.configs.resolved(name, environment)

    def _no_prompt(self, name: str) -> NotFoundError:
        from difflib import get_close_matches

        near = get_close_matches(name, self._names, n=1)
        there = ", ".join(self._names) or "none"
        unread = f"; {len(self.faults)} faults keep others from being read" if self.faults else ""
        return NotFoundError(
            f"{self.reference} has no prompt {name!r}{unread}",
            hint=f"did you mean {near[0]!r}?" if near else f"it has {there}",
        )


def _is_about(issue: Issue, name: str) -> bool:
    """Whether a fault is in a file that is probably meant: its front matter, with the name, may not have been read."""
    return name in (issue.path, PurePosixPath(issue.path).name, PurePosixPath(issue.path).name.partition(".")[0])
