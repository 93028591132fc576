"""The command that shows a bundle: inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kitpack.artifact.bundle import Bundle
from kitpack.cli.lines import print_facts, print_indented, shown_path, shown_value
from kitpack.cli.options import json_option, kitfile_option, local_option, with_registry
from kitpack.cli.progress import progress
from kitpack.cli.render import camel_case, count, heading, human_size, print_json, print_table, show_issues
from kitpack.cli.types import FOLDER_OR_REFERENCE
from kitpack.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from kitpack.artifact.inspecting.described import DescribedPrompt, DescribedPrompts

__all__ = ["inspect_command"]


@click.command("inspect")
@click.argument("reference", metavar="REF|DIR", type=FOLDER_OR_REFERENCE)
@kitfile_option
@local_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print the digest only.")
@with_registry
def inspect_command(
    reference: str, *, kitfile: Path | None, local: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Show a bundle: its Kitfile, its layers, and every prompt with all that is known about it.

    Of a folder, what packing it would make is shown. Fetches kilobytes from a registry, never weights.

    \b
      kitpack inspect assistant:1.4.0
      kitpack inspect localhost:5000/team/assistant:1.4.0 --json
    """
    from kitpack.artifact.inspecting.described import describe_prompts
    from kitpack.views import inspect

    with progress("reading", quiet=quiet or as_json) as meter:
        bundle = inspect(reference, kitfile=kitfile, local=local, settings=settings, on_event=meter.reading)
    if quiet:
        click.echo(str(bundle.descriptor.digest))
        return
    prompts = describe_prompts(bundle, jobs=settings.jobs)
    if as_json:
        print_json(_as_json(reference, bundle, prompts))
    else:
        _print_bundle(reference, bundle)
        for prompt in prompts.found:
            _print_prompt(prompt)
        show_issues(prompts.faults, err=True)


def _print_bundle(reference: str, bundle: Bundle) -> None:
    layers = bundle.layers
    print_table(
        [
            ("Reference", reference),
            ("Digest", str(bundle.descriptor.digest)),
            ("Type", bundle.manifest.kind or "unknown"),
            ("Size", f"{human_size(bundle.size)} in {count(len(bundle.manifest.layers), 'layer')}"),
        ]
    )
    if bundle.kitfile:
        heading("Kitfile")
        print_indented(bundle.kitfile)
    heading("Layers")
    rows = [(one.role, shown_path(one), human_size(one.descriptor.size), str(one.descriptor.digest)) for one in layers]
    print_table(rows, header=("ROLE", "PATH", "SIZE", "DIGEST"), right=frozenset({2}))
    if unnamed := len(bundle.manifest.layers) - len(layers):
        click.secho(f"{unnamed} more without a path, which cannot be unpacked", fg="yellow")


def _print_prompt(prompt: DescribedPrompt) -> None:
    heading(f"Prompt {prompt.name} ({prompt.path})" if prompt.name else f"Prompt file {prompt.path}")
    if facts := _facts(prompt):
        print_facts(facts)
        click.echo()
    if prompt.text is None:
        size = human_size(prompt.size)
        click.echo(f"  ({size}, too long or not text; `kitpack unpack --only` writes it to a file)")
    else:
        print_indented(prompt.text)


def _facts(prompt: DescribedPrompt) -> list[tuple[str, str]]:
    """What is known about a prompt beside its text."""
    value = prompt.prompt
    if value is None:
        return []
    facts = {
        "about": value.description,
        "format": value.format,
        "version": value.version,
        "model": value.model,
        "parameters": ", ".join(f"{key} {shown_value(one)}" for key, one in value.parameters.items()),
        "variables": "\n".join(str(one) for one in prompt.variables),
        "output": "by a schema" if value.output is not None else "",
        "tools": count(len(value.tools), "tool") if isinstance(value.tools, list) else "",
        "filters": ", ".join(value.filters),
        "includes": "\n".join(value.includes),
        "tokens": f"{prompt.tokens} ({prompt.tokens.by})" if prompt.tokens else "",
        "changelog": value.changelog,
    }
    return [(name, text) for name, text in facts.items() if text]


def _as_json(reference: str, bundle: Bundle, prompts: DescribedPrompts) -> dict[str, object]:
    manifest = bundle.manifest
    return {
        "reference": reference,
        "digest": str(bundle.descriptor.digest),
        "mediaType": manifest.media_type,
        "artifactType": manifest.kind,
        "size": bundle.size,
        "annotations": dict(manifest.annotations),
        "config": bundle.config,
        "kitfile": bundle.kitfile,
        "layers": [
            {
                "path": layer.path,
                "role": layer.role,
                "archive": layer.archived,
                "mode": f"{layer.mode:04o}",
                **layer.descriptor.to_dict(),
            }
            for layer in bundle.layers
        ],
        "prompts": [_prompt_json(prompt) for prompt in prompts.found],
        "faults": [camel_case(issue) for issue in prompts.faults],
    }


def _prompt_json(prompt: DescribedPrompt) -> dict[str, object]:
    value = prompt.prompt
    return {
        "path": prompt.path,
        "size": prompt.size,
        "text": prompt.text,
        "name": prompt.name,
        "format": value.format if value else None,
        "digest": str(value.digest) if value else None,
        "fingerprint": prompt.fingerprint,
        "description": value.description if value else "",
        "version": value.version if value else "",
        "changelog": value.changelog if value else "",
        "model": value.model if value else "",
        "parameters": value.parameters if value else {},
        "variables": [camel_case(one) for one in prompt.variables],
        "schema": value.variables if value else None,
        "declared": value.declared if value else False,
        "output": value.output if value else None,
        "tools": value.tools if value else None,
        "untrusted": sorted(value.untrusted) if value else [],
        "sensitive": sorted(value.sensitive) if value else [],
        "mustContain": [*value.must_contain] if value else [],
        "filters": dict(value.filters) if value else {},
        "includes": [{"path": one.path, "digest": str(one.digest)} for one in value.includes.values()] if value else [],
        "metadata": value.metadata if value else {},
        "messages": [camel_case(message) for message in value.messages] if value else [],
        "tokens": camel_case(prompt.tokens) if prompt.tokens else None,
    }
