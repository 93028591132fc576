"""Prompts that are declared in Python, and become the same files, and so the same bundle, as if written by hand.

::

    from kitpack.runtime.declare import register_filter, register_prompt, write_prompts
    from kitpack.runtime.declared import PromptVersion

    register_filter("currency", "${:,.2f}")
    register_prompt(PromptVersion(
        family="product_description", version=2, provider="claude", model="claude-sonnet-4-20250514",
        max_tokens=600, temperature=0.4, changelog="Fewer invented features: cooler, and told not to praise.",
        system="You are a product copywriter.", user_template="Price: {{ product.price | currency }}",
    ))
    write_prompts("prompts")

A family is what an application asks for. Exactly one version of a family is active at any time, whoever registers or
activates from whichever thread; the others can be asked for by their number.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.errors import Issue, KitpackError, NotFoundError, PromptError
from kitpack.runtime.declared import Filter, PromptStatus, PromptVersion, draft_of_version, faults_of_version

if TYPE_CHECKING:
    from kitpack.runtime.served import LoadedPrompt

__all__ = [
    "REGISTRY",
    "PromptRegistry",
    "register_filter",
    "register_prompt",
    "write_prompts",
]


class PromptRegistry:
    """Versions of prompts by family.

    Args:
        filters: What templates may use besides Jinja's own filters: a format string for one value, such as
            ``"${:,.2f}"``, which goes along in the files; or a function, of which files hold only the name.
    """

    def __init__(self, filters: Mapping[str, Filter] | None = None) -> None:
        self._filters = dict(filters or {})
        self._versions: dict[str, dict[int, PromptVersion]] = {}
        self._lock = threading.RLock()

    def register(self, prompt: PromptVersion) -> PromptVersion:
        """Add a version.

        Returns:
            The version, with its key.

        Raises:
            PromptError: With everything that is wrong with it: a key that disagrees with family and version, a version
                that is there with other content, a second active one, a changelog that says nothing.
        """
        with self._lock:
            whole = replace(prompt, key=prompt.key or f"{prompt.family}_v{prompt.version}")
            faults = [*faults_of_version(whole), *self._conflicts(whole)]
            if faults:
                raise PromptError([Issue(path=whole.key, message=message, hint=hint) for message, hint in faults])
            whole = replace(whole, status=PromptStatus(whole.status))
            self._versions.setdefault(whole.family, {})[whole.version] = whole
            return whole

    def register_filter(self, name: str, meaning: Filter) -> None:
        """Let templates use a filter: a format string for one value, or a function of this application.

        Raises:
            KitpackError: When the name means something else already.
        """
        with self._lock:
            if self._filters.setdefault(name, meaning) != meaning:
                raise KitpackError(f"the filter {name!r} is registered already, with another meaning")

    def activate(self, family: str, version: int) -> tuple[int | None, int]:
        """Make a version the active one and the active one deprecated, in one step.

        Returns:
            The version that was active before, None when there was none; and the one that is now.

        Raises:
            NotFoundError: When there is no such version.
            KitpackError: When it is archived.
        """
        with self._lock:
            target = self._version(family, version)
            if target.status is PromptStatus.ARCHIVED:
                raise KitpackError(f"{target.key} is archived and cannot become active", hint="register a new version")
            before = self._active(family)
            if before is not None:
                self._versions[family][before.version] = replace(before, status=PromptStatus.DEPRECATED)
            self._versions[family][version] = replace(target, status=PromptStatus.ACTIVE)
            return before.version if before else None, version

    def versions(self, family: str) -> tuple[PromptVersion, ...]:
        """The versions of a family, the oldest first.

        Raises:
            NotFoundError: When there is no such family.
        """
        with self._lock:
            if family not in self._versions:
                known = ", ".join(sorted(self._versions)) or "none"
                raise NotFoundError(f"there is no prompt family {family!r}", hint=f"registered: {known}")
            return tuple(self._versions[family][number] for number in sorted(self._versions[family]))

    def prompt(self, family: str, version: int | None = None) -> LoadedPrompt:
        """The active version of a family, or the one that is asked for.

        Raises:
            NotFoundError: When there is no such family or version, or none is active.
            PromptError: With every fault of its templates.
        """
        with self._lock:
            found = self._active(family) if version is None else self._version(family, version)
            if found is None:
                states = ", ".join(f"{one.version} is {one.status}" for one in self.versions(family))
                raise NotFoundError(
                    f"no version of {family!r} is active: {states}", hint="activate one, or ask for it by its number"
                )
            return self._loaded(found)

    def check(self) -> None:
        """Make sure that every family has its one active version and every template can be read.

        Raises:
            PromptError: With everything that is wrong.
        """
        self._whole()

    def files(self) -> tuple[tuple[str, bytes], ...]:
        """The prompts as files: paths in one folder, and bytes that are the same on every machine.

        The active version of a family is called as the family is; the others, but for archived ones, ``family_vN``.

        Raises:
            PromptError: With everything that :meth:`check` finds.
        """
        return tuple(self._whole())

    def write_prompts(self, folder: str | PathLike[str], *, force: bool = False) -> tuple[str, ...]:
        """Write the prompts as files, all of them or none.

        Args:
            folder: The folder, usually ``prompts`` beside a Kitfile.
            force: Whether files with other content are replaced.

        Returns:
            The paths of the files that were written; those that are the same already are left alone.

        Raises:
            PromptError: With everything that :meth:`check` finds.
            FileConflictError: When other files are in their places; nothing was written.
        """
        from kitpack.artifact.unpacking.newfiles import write_new

        return write_new(Path(folder), self.files(), force=force)

    def _whole(self) -> list[tuple[str, bytes]]:
        """The files of all versions but archived ones, once every version was found to be without faults."""
        files: list[tuple[str, bytes]] = []
        issues: list[Issue] = []
        with self._lock:
            for family in sorted(self._versions):
                if self._active(family) is None:
                    issues.append(Issue(path=family, message="no version is active", hint="activate one"))
                for version in self.versions(family):
                    try:
                        self._loaded(version)
                    except PromptError as error:
                        issues += error.issues
                    if version.status is not PromptStatus.ARCHIVED:
                        files.append(self._file(version))
        if issues:
            raise PromptError(issues)
        return files

    def _active(self, family: str) -> PromptVersion | None:
        return next((one for one in self.versions(family) if one.status is PromptStatus.ACTIVE), None)

    def _version(self, family: str, version: int) -> PromptVersion:
        found = next((one for one in self.versions(family) if one.version == version), None)
        if found is None:
            known = ", ".join(str(one.version) for one in self.versions(family))
            raise NotFoundError(f"{family!r} has no version {version}", hint=f"its versions: {known}")
        return found

    def _conflicts(self, prompt: PromptVersion) -> Iterator[tuple[str, str]]:
        siblings = self._versions.get(prompt.family, {})
        there = siblings.get(prompt.version)
        if there is not None and replace(there, status=prompt.status) != prompt:
            yield f"{prompt.key} is registered already, with other content", "give the new one the next version"
        active = next((one for one in siblings.values() if one.status is PromptStatus.ACTIVE), None)
        if prompt.status == PromptStatus.ACTIVE and active is not None and active.version != prompt.version:
            yield f"{active.key} is active already", "register one as shadow, or activate it afterwards"
        spelled = next((family for family in self._versions if family.casefold() == prompt.family.casefold()), None)
        if spelled not in (None, prompt.family):
            yield f"the family {prompt.family!r} differs from {spelled!r} in nothing but case", f"write {spelled}"

    def _meanings(self, prompt: PromptVersion) -> dict[str, Filter]:
        """The filters of a prompt: its own, and those of the registry that it names."""
        text = f"{prompt.system}\n{prompt.user_template}"
        named = {name for name in self._filters if re.search(rf"\b{re.escape(name)}\b", text)}
        return {**{name: self._filters[name] for name in named}, **prompt.filters}

    def _file(self, prompt: PromptVersion) -> tuple[str, bytes]:
        from kitpack.prompts.exchange.write import write_draft

        name = prompt.family if prompt.status is PromptStatus.ACTIVE else prompt.key
        suffix, raw = write_draft(draft_of_version(prompt, name, self._meanings(prompt)))
        return name + suffix, raw

    def _loaded(self, prompt: PromptVersion) -> LoadedPrompt:
        from kitpack.prompts.parse import parse_prompt
        from kitpack.runtime.identity import Identity
        from kitpack.runtime.served import LoadedPrompt

        path, raw = self._file(prompt)
        functions = {name: one for name, one in self._meanings(prompt).items() if not isinstance(one, str)}
        return LoadedPrompt(parse_prompt(raw, path), Identity(), filters=functions)


REGISTRY = PromptRegistry()
"""The registry of an application that needs no more than one."""

register_prompt = REGISTRY.register
register_filter = REGISTRY.register_filter
write_prompts = REGISTRY.write_prompts
