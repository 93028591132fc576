"""The gates of a release that need more than the registry: changelog, token growth, breaking changes, lint.

Which gates a channel has says a policy: ``kitpack.yaml`` in the folder where releases are made, or else the Kitfile of
the release. Those that need nothing but the registry are in :mod:`kitpack.releases.gates`; all come in by one door.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.errors import IntegrityError, KitfileError, NotFoundError
from kitpack.kitfile.policy import POLICY_NAME, load_policy
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json
from kitpack.places import find_home
from kitpack.releases.change import Candidate, Check
from kitpack.releases.gates import BUILT_IN, Maker, Policy, build_gates
from kitpack.releases.home import Home
from kitpack.releases.numbers import asks_for_major
from kitpack.releases.record import Gate
from kitpack.releases.writing import version_of
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.artifact.bundle import Bundle
    from kitpack.kitfile.model import Kitfile
    from kitpack.prompts.diff import PromptDiff

__all__ = ["DEFAULT_GROWTH", "WARNING", "find_policy", "gates_for", "makers"]

DEFAULT_GROWTH = 10.0
"""By how many percent a prompt may have more tokens than the live one, where the policy names no limit."""

WARNING = "warning: "
"""What the detail of a gate begins with that let a release through and has something to say."""

_AHEAD = ("changelog", "token-growth", "breaking", "live-in", "rollback-target", "lint")
"""Gates that ask what is new about a release; they do not stand in the way back to one that served."""


def gates_for(
    reference: str,
    channel: str = "",
    policy: Path | None = None,
    *,
    back: bool = False,
    strict: bool = False,
    local: bool = False,
    settings: Settings | None = None,
) -> list[Check]:
    """The gates of a channel.

    Args:
        reference: The release, whose Kitfile is read when no file says what the gates are.
        channel: The channel; empty for the tag of the reference.
        policy: The file that says what the gates are; by default ``kitpack.yaml`` in the current folder, if any.
        back: Whether this is the way back to a release that served, rather than forward to a new one.
        strict: Whether what is a warning otherwise keeps a release from going live.
        local: Whether the local store is meant, whatever the reference says.
        settings: The surroundings.

    Raises:
        KitfileError: With all faults of the policy.
        UsageError: When it names a gate that does not exist, or tells it nonsense.
        NotFoundError: When the release is not there.
    """
    settings = settings or Settings.from_env()
    found = find_policy(reference, policy, back=back, local=local, settings=settings)
    channel = channel or find_home(reference, settings, local=local, channel=True)[1]
    asked = {name: told for name, told in found.gates_of(channel).items() if not (back and name in _AHEAD)}
    return build_gates(Policy(channels={channel: asked}, source=found.source), channel, makers(strict=strict))


def find_policy(reference: str, policy: Path | None, *, back: bool, local: bool, settings: Settings) -> Policy:
    """What the gates of each channel are, and where that is written. Arguments and errors as :func:`gates_for`."""
    path = policy or Path(POLICY_NAME)
    if policy or path.is_file():
        return Policy(channels=load_policy(path), source=str(path))
    home, selector = find_home(reference, settings, local=local)
    try:
        kitfile = _kitfile(_bundle(home, selector))
    except (IntegrityError, NotFoundError):
        if not back:
            raise
        kitfile = None  # what is live is broken: that is why somebody wants to go back
    return Policy(channels=kitfile.policy, source=f"the Kitfile of {reference}") if kitfile else Policy()


def makers(*, strict: bool = False) -> dict[str, Maker]:
    """All gates there are, by their names; those that compare with the live release do it once for all of them."""
    known: dict[tuple[Digest, Digest], tuple[PromptDiff, ...]] = {}

    def changed(candidate: Candidate) -> Sequence[PromptDiff]:
        from kitpack.artifact.inspecting.diff import diff_bundles

        if candidate.live is None:
            return ()
        pair = (candidate.live, candidate.bundle.digest)
        if pair not in known:
            known[pair] = diff_bundles(*(_bundle(candidate.home, str(one)) for one in pair)).prompts
        return known[pair]

    return {
        **BUILT_IN,
        "changelog": lambda _: _readable("changelog", _changelog),
        "token-growth": lambda told: _readable("token-growth", _token_growth(told, changed)),
        "breaking": lambda _: _readable("breaking", _breaking(changed, strict=strict)),
        "lint": lambda _: _readable("lint", _lint(strict=strict)),
    }


def _readable(name: str, gate: Check) -> Check:
    """The same gate, which does not let through what it cannot read."""

    def check(candidate: Candidate) -> Gate:
        try:
            return gate(candidate)
        except (IntegrityError, NotFoundError) as error:
            return Gate(name=name, passed=False, detail=f"it cannot be told: {error.message}")

    return check


def _changelog(candidate: Candidate) -> Gate:
    """From the second release on, the changelog says why there is a new one."""
    from kitpack.prompts.lint.changelog import says_nothing

    if candidate.live is None:
        return Gate(name="changelog", passed=True, detail="the first release here")
    said = _said(candidate.home, candidate.bundle.digest)
    if says_nothing(said):
        found = f"package.changelog says {said!r}, which is no reason" if said else "package.changelog is missing"
        return Gate(name="changelog", passed=False, detail=f"{found}; say why there is a new version")
    if candidate.bundle.digest != candidate.live and said == _said_if_whole(candidate.home, candidate.live):
        return Gate(name="changelog", passed=False, detail="package.changelog is that of the live release")
    return Gate(name="changelog", passed=True, detail=said.partition("\n")[0][:200])


def _token_growth(told: Json, changed: Callable[[Candidate], Sequence[PromptDiff]]) -> Check:
    """No prompt has many more tokens than in the live release.

    Raises:
        ValueError: When the limit is no percentage.
    """
    if told is None or told is True:
        told = DEFAULT_GROWTH
    if not isinstance(told, int | float) or isinstance(told, bool) or told < 0:
        raise ValueError("name the limit in percent, for example `token-growth: 10`")
    limit = float(told)

    def check(candidate: Candidate) -> Gate:
        grown = [f"{one.name} {_growth(one)}" for one in changed(candidate) if one.grew(limit)]
        detail = f"{', '.join(grown)}; at most {limit:g} % more are allowed" if grown else f"at most {limit:g} % more"
        return Gate(name="token-growth", passed=not grown, detail=detail)

    return check


def _growth(one: PromptDiff) -> str:
    if one.tokens is None or one.tokens.before is None or one.tokens.after is None:
        return "grew"
    return f"grew by {one.tokens.percent:g} %, from {one.tokens.before} to {one.tokens.after} tokens"


def _breaking(changed: Callable[[Candidate], Sequence[PromptDiff]], *, strict: bool) -> Check:
    """What breaks the callers of a prompt asks for a new major version."""

    def check(candidate: Candidate) -> Gate:
        broken = [one for one in changed(candidate) if one.breaks]
        versions = [_live_version(candidate), version_of(candidate.bundle)]
        if not broken or not asks_for_major(*versions):
            return Gate(name="breaking", passed=True, detail="" if not broken else f"{versions[1]} says so")
        texts = [f"{one.name or one.path}: {_why(one)}" for one in broken]
        more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
        found = f"callers break ({'; '.join(texts[:3])}{more}), which asks for a major version after {versions[0]}"
        return Gate(name="breaking", passed=not strict, detail=found if strict else f"{WARNING}{found}")

    return check


def _why(one: PromptDiff) -> str:
    if one.kind == "removed":
        return "it was removed"
    texts = [change.text for change in (*one.variables, *one.output) if change.breaks]
    return texts[0] if texts else f"it was called {one.name_before}"


def _live_version(candidate: Candidate) -> str:
    head = candidate.head
    if head and head.target == candidate.live:
        return head.target_version
    return version_of(candidate.home.read_digest(candidate.live)) if candidate.live else ""


def _lint(*, strict: bool) -> Check:
    """The prompts have no errors, and with ``--strict`` no warnings either."""

    def check(candidate: Candidate) -> Gate:
        from kitpack.artifact.inspecting.promptset import of_bundle

        findings = of_bundle(_bundle(candidate.home, str(candidate.bundle.digest))).lint()
        refused = [one for one in findings if one.severity in (("error", "warning") if strict else ("error",))]
        shown = refused or [one for one in findings if one.severity == "warning"]
        told = "; ".join(f"{one.path}{f':{one.line}' if one.line else ''}: {one.message}" for one in shown[:3])
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        note = f"{'' if refused else WARNING}{told}{more}" if shown else ""
        return Gate(name="lint", passed=not refused, detail=note)

    return check


def _bundle(home: Home, selector: str) -> Bundle:
    from kitpack.artifact.bundle import Bundle

    name = selector if ":" in selector else f"{home.prefix}{selector}"
    return Bundle(home.target, home.target.resolve(name))


def _kitfile(bundle: Bundle) -> Kitfile | None:
    """What its author declared; None when kitpack did not pack it.

    Raises:
        KitfileError: When what is declared has faults: a policy that cannot be read is not one without gates.
    """
    from kitpack.artifact.inspecting.prompts import declared_kitfile

    kitfile, faults = declared_kitfile(bundle)
    if faults:
        refusal = KitfileError(faults)
        refusal.hint = "the policy in it cannot be read; name the gates in a file: --policy FILE"
        raise refusal
    return kitfile


def _said(home: Home, digest: Digest) -> str:
    from kitpack.artifact.inspecting.prompts import declared_kitfile

    kitfile, _ = declared_kitfile(_bundle(home, str(digest)))
    return kitfile.package.changelog.strip() if kitfile else ""


def _said_if_whole(home: Home, digest: Digest) -> str:
    try:
        return _said(home, digest)
    except (IntegrityError, NotFoundError):
        return ""
