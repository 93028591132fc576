"""Commands that show: inspect, diff, list."""

from __future__ import annotations

import click

from kitpack import verbs
from kitpack.artifact.bundle import Bundle, Text
from kitpack.cli.options import REFERENCE, json_option, local_option, quiet_option, with_settings
from kitpack.cli.render import heading, human_size, print_json, print_table, safe_text
from kitpack.prompts.diff import LineChange
from kitpack.settings import Settings

__all__ = ["diff_command", "inspect_command", "list_command"]

_LINES = {"added": ("+", "green"), "removed": ("-", "red"), "same": (" ", None), "gap": ("@", "cyan")}


@click.command("inspect")
@click.argument("reference", metavar="REF", type=REFERENCE)
@local_option
@json_option
@with_settings
def inspect_command(reference: str, *, local: bool, as_json: bool, settings: Settings) -> None:
    """Show a bundle: its Kitfile, its layers, and every prompt in full.

    Fetches kilobytes from a registry, never weights.

    \b
      kitpack inspect assistant:1.4.0
      kitpack inspect localhost:5000/team/assistant:1.4.0 --json
    """
    bundle = verbs.inspect(reference, local=local, settings=settings)
    if as_json:
        print_json(_bundle_json(reference, bundle))
        return
    print_table(
        [
            ("Reference", reference),
            ("Digest", str(bundle.descriptor.digest)),
            ("Type", bundle.manifest.kind or "unknown"),
            ("Size", f"{human_size(bundle.size)} in {len(bundle.manifest.layers)} layers"),
        ]
    )
    if bundle.kitfile:
        heading("Kitfile")
        _print_indented(bundle.kitfile)
    heading("Layers")
    print_table(
        [
            (
                layer.role,
                layer.path + ("/" if layer.archived else ""),
                human_size(layer.descriptor.size),
                str(layer.descriptor.digest),
            )
            for layer in bundle.layers
        ],
        header=("ROLE", "PATH", "SIZE", "DIGEST"),
        right=frozenset({2}),
    )
    _warn_unnamed(bundle)
    for prompt in bundle.prompts():
        heading(f"Prompt {safe_text(prompt.path)}")
        _print_indented(_prompt_text(prompt))


@click.command("diff")
@click.argument("before", metavar="A", type=REFERENCE)
@click.argument("after", metavar="B", type=REFERENCE)
@click.option("--exit-code", is_flag=True, help="End with 1 when there are differences, as git does.")
@local_option
@json_option
@with_settings
def diff_command(before: str, after: str, *, exit_code: bool, local: bool, as_json: bool, settings: Settings) -> None:
    """Compare two bundles: prompts line by line, the Kitfile, and which other files differ.

    \b
      kitpack diff assistant:1.3.0 assistant:1.4.0
    """
    found = verbs.diff(before, after, local=local, settings=settings)
    if as_json:
        from dataclasses import asdict

        print_json({"before": before, "after": after, **asdict(found)})
    elif found.is_empty:
        click.echo("no differences")
    else:
        for prompt in found.prompts:
            heading(f"Prompt {safe_text(prompt.path)}: {prompt.kind}")
            _print_lines(prompt.lines)
        if found.kitfile:
            heading("Kitfile")
            _print_lines(found.kitfile)
        heading("Files")
        print_table(
            [
                (change.kind, change.role, change.path, _sizes(change.size_before, change.size_after))
                for change in found.files
            ]
        )
        click.echo(
            f"{human_size(found.shared)} in common; weights {'differ' if found.weights_changed else 'are the same'}"
        )
    if exit_code and not found.is_empty:
        raise click.exceptions.Exit(1)


@click.command("list")
@click.argument("repository", metavar="[REPO]", default="", type=REFERENCE)
@local_option
@json_option
@quiet_option
@with_settings
def list_command(repository: str, *, local: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """List bundles: all of the local store, those of one name, or the tags of a repository.

    \b
      kitpack list
      kitpack list localhost:5000/team/assistant
      kitpack list oci:/media/usb
    """
    found = verbs.list_bundles(repository, local=local, settings=settings)
    if as_json:
        print_json(
            [
                {"reference": one.reference, "digest": one.digest, "size": one.size, "artifactType": one.artifact_type}
                for one in found
            ]
        )
    elif quiet:
        for one in found:
            click.echo(safe_text(one.reference))
    elif not found:
        click.echo("nothing here yet; `kitpack pack DIR -t NAME:TAG` makes a bundle")
    else:
        rows = [(one.reference, one.digest, "" if one.size is None else human_size(one.size)) for one in found]
        print_table(rows, header=("REFERENCE", "DIGEST", "SIZE"), right=frozenset({2}))


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


def _warn_unnamed(bundle: Bundle) -> None:
    unnamed = len(bundle.manifest.layers) - len(bundle.layers)
    if unnamed:
        click.secho(f"{unnamed} more layers have no path and are not unpacked", fg="yellow")


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
