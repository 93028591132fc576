"""Rules about what a prompt says of its own history, where the version before is known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kitpack.prompts.fingerprint import fingerprint
from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.where import key_line
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.variables import compare_outputs, compare_variables

__all__ = ["breaking_changes", "changelog_missing", "says_nothing"]

_SAYS_NOTHING = (
    r"(?:(?:minor|small|some|a few|various|misc(?:ellaneous)?|several|the|this|prompt|text|wording|quick|again)\s+)*"
    r"(?:update[sd]?|updating|fix(?:e[sd]|ing)?|bug ?fix(?:es)?|change[sd]?|edit(?:s|ed)?|tweak(?:s|ed)?|improved?"
    r"|improvements?|wip|todo|tbd|new(?: version)?|version(?: bump)?|bump(?:ed)?|misc|stuff|test(?:ing)?|none|n/?a|-+"
    r"|clean ?up|refactor(?:ed|ing)?|initial(?: version| commit)?|latest|release|prompt|v?\d+(?:\.\d+)*)?"
    r"(?:\s+(?:the\s+)?(?:prompt|text|wording|template|file|version|stuff|things?|it))?[\s.!…-]*"
)
_BREAKS = re.compile(r"\bbreak(?:s|ing)?\b|\bincompatib", re.IGNORECASE)


def says_nothing(changelog: str) -> bool:
    """Whether a changelog is none: empty, or words that fit every change, such as ``minor fixes``."""
    return re.fullmatch(_SAYS_NOTHING, changelog.strip(), re.IGNORECASE) is not None


def changelog_missing(prompt: Prompt, around: Around) -> Iterator[Found]:
    """Find prompts that were changed without a word about why."""
    if around.previous is None or fingerprint(prompt) == fingerprint(around.previous):
        return
    said, line = prompt.changelog.strip(), key_line(prompt, "changelog")
    if not said:
        message = "the prompt differs from its previous version and has no changelog"
    elif says_nothing(said):
        message = f"the changelog says {said!r}, which is not why the prompt was changed"
    elif said == around.previous.changelog.strip():
        message = "the changelog is that of the previous version, and the prompt was changed"
    else:
        return
    yield Found(rule="prompt-changelog-missing", message=message, line=line)


def breaking_changes(prompt: Prompt, around: Around) -> Iterator[Found]:
    """Find changes that break callers and that the changelog passes over."""
    if around.previous is None or _BREAKS.search(prompt.changelog):
        return
    changes = [("variables", one) for one in compare_variables(around.previous, prompt)]
    changes += [("output", one) for one in compare_outputs(around.previous, prompt)]
    for key, change in changes:
        if change.breaks and not _is_named(change.name or key, prompt.changelog):
            line = key_line(prompt, key, change.name)
            message = f"callers break, and the changelog does not say so: {change.text}"
            yield Found(rule="prompt-breaking-change", message=message, line=line)


def _is_named(name: str, changelog: str) -> bool:
    return bool(name) and bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", changelog))
