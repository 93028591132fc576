"""Commands that show: inspect, diff, list."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import click

from kitpack import verbs
from kitpack.artifact.bundle import Bundle, Text
from kitpack.cli.options import json_option, local_option, with_registry
from kitpack.cli.render import camel_case, count, heading, human_size, one_line, print_json, print_table, safe_text, say
from kitpack.cli.types import REFERENCE
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.artifact.dialects import Layer
    from kitpack.artifact.diff import BundleDiff
    from kitpack.prompts.diff import LineChange

__all__ = ["diff_command", "inspect_command", "list_command"]

_LINES = {"added": ("+", "green"), "removed": ("-", "red"), "same": (" ", None), "gap": ("@", "cyan")}


@click.command("inspect")
@click.argument("reference", metavar="REF", type=REFERENCE)
@local_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print the digest only.")
@with_registry
def inspect_command(reference: str, *, local: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Show a bundle: its Kitfile, its layers, and every prompt in full.

    Fetches kilobytes from a registry, never weights.

    \b
      kitpack inspect assistant:1.4.0
      kitpack inspect localhost:5000/team/assistant:1.4.0 --json
    """
    bundle = verbs.inspect(reference, local=local, settings=settings)
    if as_json:
        print_json(_bundle_json(reference, bundle))
    elif quiet:
        click.echo(str(bundle.descriptor.digest))
    else:
        _print_bundle(reference, bundle)


@click.command("diff")
@click.argument("before", metavar="A", type=REFERENCE)
@click.argument("after", metavar="B", type=REFERENCE)
@click.option("--exit-code", is_flag=True, help="End with 1 when there are differences, as git does.")
@local_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; implies --exit-code.")
@with_registry
def diff_command(
    before: str, after: str, *, exit_code: bool, local: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Compare two bundles: prompts line by line, the Kitfile, and which other files differ.

    \b
      kitpack diff assistant:1.3.0 assistant:1.4.0
    """
    from kitpack.artifact.diff import diff_bundles

    bundles = [verbs.inspect(reference, local=local, settings=settings) for reference in (before, after)]
    digests = [str(bundle.descriptor.digest) for bundle in bundles]
    found = diff_bundles(*bundles)
    if as_json:
        sides = [{"reference": name, "digest": one} for name, one in zip((before, after), digests, strict=True)]
        print_json({"before": sides[0], "after": sides[1], "same": found.is_empty, **camel_case(found)})
    elif found.is_empty:
        same = "no differences" if digests[0] == digests[1] else "the same files; only what the manifests say differs"
        say(same, quiet=quiet)
    elif not quiet:
        paths = {layer.path: _shown_path(layer) for bundle in bundles for layer in bundle.layers}
        _print_diff(found, (before, digests[0]), (after, digests[1]), paths)
    if (exit_code or quiet) and not found.is_empty:
        raise click.exceptions.Exit(1)


@click.command("list")
@click.argument("repository", metavar="[REPO]", required=False, type=REFERENCE)
@local_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print the references only.")
@with_registry
def list_command(repository: str | None, *, local: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """List bundles: all of the local store, those of one name, or the tags of a repository.

    \b
      kitpack list
      kitpack list localhost:5000/team/assistant
      kitpack list oci:/media/usb
    """
    from kitpack.names import list_bundles

    found = list_bundles(repository or "", local=local, settings=settings)
    if as_json:
        print_json([camel_case(one) for one in found])
    elif quiet:
        for one in found:
            click.echo(one_line(one.reference))
    elif not found:
        say("nothing here yet; `kitpack pack DIR -t NAME:TAG` makes a bundle")
    elif all(one.size is None for one in found):
        print_table([(one.reference, one.digest) for one in found], header=("REFERENCE", "DIGEST"))
    else:
        sizes = ["" if one.size is None else human_size(one.size) for one in found]
        rows = [(one.reference, size, one.digest) for one, size in zip(found, sizes, strict=True)]
        print_table(rows, header=("REFERENCE", "SIZE", "DIGEST"), right=frozenset({1}))


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
        _print_indented(bundle.kitfile)
    heading("Layers")
    rows = [(one.role, _shown_path(one), human_size(one.descriptor.size), str(one.descriptor.digest)) for one in layers]
    print_table(rows, header=("ROLE", "PATH", "SIZE", "DIGEST"), right=frozenset({2}))
    if unnamed := len(bundle.manifest.layers) - len(layers):
        click.secho(f"{unnamed} more without a path, which cannot be unpacked", fg="yellow")
    for prompt in bundle.prompts():
        heading(f"Prompt {prompt.path}")
        _print_indented(_prompt_text(prompt))


def _print_diff(found: BundleDiff, before: tuple[str, str], after: tuple[str, str], paths: Mapping[str, str]) -> None:
    print_table([("Before", *before), ("After", *after)])
    for prompt in found.prompts:
        heading(f"Prompt {prompt.path}: {prompt.kind}")
        _print_lines(prompt.lines)
    if found.kitfile:
        heading("Kitfile")
        _print_lines(found.kitfile)
    if found.files:
        heading("Files")
        sizes = [_sizes(change.size_before, change.size_after) for change in found.files]
        print_table(
            [
                (one.kind, one.role, paths.get(one.path, one.path), size)
                for one, size in zip(found.files, sizes, strict=True)
            ],
        )
    click.echo()
    click.echo(f"{human_size(found.shared)} in common; weights {'differ' if found.weights_changed else 'are the same'}")


def _bundle_json(reference: str, bundle: Bundle) -> dict[str, object]:
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
        "prompts": [{"path": one.path, "size": one.size, "text": one.text} for one in bundle.prompts()],
    }


def _shown_path(layer: Layer) -> str:
    """The path of a layer; of an archive, whether it is a file or a folder: what has an ending is a file."""
    if not layer.archived:
        return layer.path
    is_file = PurePosixPath(layer.path).suffix[1:2].isalpha()
    return f"{layer.path}{'' if is_file else '/'} (tar)"


def _prompt_text(prompt: Text) -> str:
    if prompt.text is None:
        return f"({human_size(prompt.size)}, too long or not text; `kitpack unpack --only` writes it to a file)"
    return prompt.text


def _print_indented(text: str) -> None:
    for line in safe_text(text).splitlines():
        click.echo(f"  {line}" if line else "")


def _print_lines(lines: tuple[LineChange, ...]) -> None:
    for line in lines:
        sign, colour = _LINES[line.kind]
        click.secho(f"  {sign} {safe_text(line.text)}", fg=colour)


def _sizes(before: int, after: int) -> str:
    if before and after:
        return f"{human_size(before)} → {human_size(after)}"
    return human_size(before or after)
