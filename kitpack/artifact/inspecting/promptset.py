"""The prompts of one place with what surrounds them there: the model, what counts their tokens, how files are called.

A place is a bundle, a folder with a Kitfile or without one, or a single prompt file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.inspecting.prompts import Prompts, bundle_prompts, folder_prompts
from kitpack.artifact.inspecting.tokenizer import describe_model, find_counter
from kitpack.errors import IntegrityError, Issue, NotFoundError, PromptError
from kitpack.kitfile.model import KITFILE_NAMES, Kitfile
from kitpack.kitfile.model import Prompt as Entry
from kitpack.prompts.facts import ModelFacts
from kitpack.prompts.lint.findings import Around, Finding
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.tokens import Count, Counter, count_prompt, estimate

__all__ = ["PromptSet", "of_bundle", "of_file", "of_folder"]


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """Prompts and what surrounds them.

    Attributes:
        found: The prompts that can be read.
        faults: What is wrong with the others, by paths as the user would type them.
        root: What stands before their paths when the user names a file; empty for a bundle.
        place: Where the model is looked for; None where there is none.
        kitfile: What the folder's author declares.
        packed: Whether what is there is all of a bundle: then a model that is not there is not packed.
        fetch: Whether a tokenizer may be fetched from somewhere else.
    """

    found: tuple[Prompt, ...] = ()
    faults: tuple[Issue, ...] = ()
    root: str = ""
    place: Bundle | Path | None = None
    kitfile: Kitfile | None = None
    packed: bool = False
    fetch: bool = False

    @cached_property
    def counter(self) -> Counter:
        """What counts their tokens best."""
        if self.place is None:
            return estimate("there is no model beside it")
        return find_counter(self.place, fetch=self.fetch, kitfile=self.kitfile)

    def count(self, prompt: Prompt) -> Count:
        """The tokens of a prompt; of a text that the tokenizer cannot take, an estimate that says so."""
        try:
            return count_prompt(prompt, self.counter)
        except IntegrityError as error:
            return count_prompt(prompt, estimate(error.message))

    @cached_property
    def model(self) -> ModelFacts | None:
        """The packed model, without a name when there is none; None when nothing is known."""
        found = describe_model(self.place, fetch=self.fetch, kitfile=self.kitfile) if self.place is not None else None
        return found or (ModelFacts() if self.packed else None)

    def prompt(self, name: str) -> Prompt:
        """The prompt of a name, or of a path.

        Raises:
            NotFoundError: When there is none.
            PromptError: When there is a file of that name, and it has faults.
        """
        for prompt in self.found:
            if name in (prompt.name, prompt.path, self.path_of(prompt)):
                return prompt
        if faults := [one for one in self.faults if _may_be(name, one.path)]:
            raise PromptError(faults)
        names = ", ".join(sorted(prompt.name for prompt in self.found))
        hint = f"there is {names}" if names else "there are no prompts at all"
        raise NotFoundError(f"there is no prompt {name!r}", hint=hint)

    def path_of(self, prompt: Prompt) -> str:
        """A prompt's file, as the user would type it."""
        return self.typed(prompt.path)

    def typed(self, path: str) -> str:
        """A path in the bundle, as the user would type it."""
        return _joined(self.root, path)

    def lint(self, previous: Iterable[Prompt] = (), *, growth: float = 10.0) -> list[Finding]:
        """Find what somebody should look at.

        Args:
            previous: The prompts of the version before, where they are known.
            growth: The percentage of tokens by which a prompt may grow.

        Returns:
            The faults of files that are no prompts, then the findings about the others.
        """
        from kitpack.prompts.lint.lint import fault_finding, lint_all

        before = {prompt.name: prompt for prompt in previous}

        def around(prompt: Prompt) -> Around:
            return Around(
                path=self.path_of(prompt),
                previous=before.get(prompt.name),
                model=self.model,
                counter=_Waiting(self),
                growth=growth,
            )

        read = {self.path_of(prompt) for prompt in self.found}  # what is wrong with their names, lint says itself
        faults = [fault_finding(issue) for issue in self.faults if issue.path not in read]
        return [*faults, *lint_all(self.found, around)]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A counter that is looked for when something is counted: a vocabulary takes a second to read."""

    prompts: PromptSet

    @property
    def name(self) -> str:
        return self.prompts.counter.name

    @property
    def exact(self) -> bool:
        return self.prompts.counter.exact

    def count(self, text: str) -> int:
        try:
            return self.prompts.counter.count(text)
        except IntegrityError:
            return estimate().count(text)


def of_bundle(bundle: Bundle, *, fetch: bool = False) -> PromptSet:
    """The prompts of a bundle.

    Args:
        bundle: The bundle.
        fetch: Whether a tokenizer that is not on this machine may be fetched.

    Raises:
        NotFoundError, IntegrityError: When a prompt's layer is missing or damaged.
    """
    prompts = bundle_prompts(bundle)
    return PromptSet(found=prompts.found, faults=prompts.faults, place=bundle, packed=True, fetch=fetch)


def of_folder(folder: Path, kitfile: Kitfile | None = None) -> PromptSet:
    """The prompts of a folder.

    Args:
        folder: The folder, as the user typed it.
        kitfile: What its author declares; None when the folder has no Kitfile.

    Raises:
        KitfileError: When its ``.kitignore`` has faults.
        OSError: When it cannot be read.
    """
    return _in_folder(folder, folder_prompts(folder, kitfile), kitfile)


def of_file(path: Path, above: Path | None = None, kitfile: Kitfile | None = None) -> PromptSet:
    """A single prompt file, which may be part of a folder with a Kitfile.

    Args:
        path: The file, as the user typed it.
        above: The folder of the Kitfile, when there is one above.
        kitfile: What it declares.

    Raises:
        As :func:`of_folder`.
    """
    folder = above or path.parent
    inside = path.resolve().relative_to(folder.resolve()).as_posix()
    prompts = folder_prompts(folder, kitfile) if kitfile else Prompts()
    known = {*(one.path for one in prompts.found), *(one.path for one in prompts.faults)}
    if inside not in known:
        alone = Kitfile(prompts=(Entry(path=inside),), path=KITFILE_NAMES[0])
        prompts = folder_prompts(folder, alone)
    wanted = Prompts(
        found=tuple(one for one in prompts.found if one.path == inside),
        faults=tuple(one for one in prompts.faults if one.path in (inside, KITFILE_NAMES[0])),
    )
    found = _in_folder(folder, wanted, kitfile)
    return found if kitfile else replace(found, place=None)


def _in_folder(folder: Path, prompts: Prompts, kitfile: Kitfile | None) -> PromptSet:
    root = str(folder)
    return PromptSet(
        found=prompts.found,
        faults=tuple(replace(issue, path=_joined(root, issue.path)) for issue in prompts.faults),
        root=root,
        place=folder,
        kitfile=kitfile,
        packed=kitfile is not None and kitfile.model is None,  # a model may be named, and not be there yet
    )


def _joined(root: str, path: str) -> str:
    return str(Path(root) / path) if root else path


def _may_be(name: str, path: str) -> bool:
    """Whether a file that could not be read may be the prompt of a name."""
    return path.endswith(name) or Path(path).name.split(".")[0] == name
