"""Which prompt was served: what a log line, a trace or an answer has to carry so that nobody has to ask later."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What was served, down to the byte. Text that is not known is empty.

    Attributes:
        prompt_name: The prompt; empty for a bundle as a whole.
        prompt_version: The prompt's own version, or that of its bundle when it has none.
        prompt_digest: The exact bytes of its file.
        bundle_reference: What the bundle was asked for by, or its folder.
        bundle_digest: The manifest; empty for a folder that was never packed.
        fingerprint: Everything that decides what a model gets to see: text, includes, parameters, variables, output,
            tools, filters, engine. Equal fingerprints mean equal prompts, wherever they come from.
        engine: What renders it, with its version.
    """

    prompt_name: str = ""
    prompt_version: str = ""
    prompt_digest: str = ""
    bundle_reference: str = ""
    bundle_digest: str = ""
    fingerprint: str = ""
    engine: str = ""

    def __str__(self) -> str:
        """One short word for a person: ``triage@1.4.0 sha256:2cf24dba5fb0``."""
        name = "@".join(filter(None, (self.prompt_name or self.bundle_reference, self.prompt_version)))
        digest = self.bundle_digest or self.prompt_digest
        algorithm, _, digits = digest.partition(":")
        return f"{name} {algorithm}:{digits[:12]}" if digest else name
