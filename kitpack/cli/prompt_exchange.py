"""Commands that exchange prompts with other tools: import, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitpack.cli.options import json_option, local_option, quiet_option, with_registry
from kitpack.cli.render import camel_case, count, print_json, safe_text, say, show_issues
from kitpack.cli.types import NEW_FOLDER, PROMPTS
from kitpack.errors import Issue, PromptError
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.prompts.exchange.shape import Imported

__all__ = ["prompt_export_command", "prompt_import_command"]

_KIND = click.Choice(("prompty", "dotprompt", "promptfoo", "record"))
_SOURCE = click.Path(path_type=Path, exists=True)
_force_option = click.option("--force", is_flag=True, help="Replace files that are there with other content.")


@click.command("import")
@click.argument("source", metavar="FILE|DIR", type=_SOURCE)
@click.option("-o", "--output", metavar="DIR", type=NEW_FOLDER, required=True, help="The folder to write to.")
@click.option("--from", "kind", type=_KIND, help="What it is, where the names of files do not tell.")
@_force_option
@json_option
@quiet_option
def prompt_import_command(
    source: Path, *, output: Path, kind: str | None, force: bool, as_json: bool, quiet: bool
) -> None:
    """Write the prompts of another tool as files for a bundle, all of them or none.

    Prints the lines to add to the Kitfile, and what has no place here. Nothing in the source is run.

    \b
      kitpack prompt import greet.prompty -o prompts
      kitpack prompt import genkit/prompts -o prompts
      kitpack prompt import promptfooconfig.yaml -o prompts
      kitpack prompt import release.json -o prompts --from record
    """
    from kitpack.artifact.unpacking.folderfiles import FolderFiles
    from kitpack.artifact.unpacking.newfiles import write_new
    from kitpack.prompts.exchange.kinds import import_prompts, kind_of

    folder, name = (source, "") if source.is_dir() else (source.parent, source.name)
    files = FolderFiles(folder)
    found = import_prompts(kind or kind_of(name, list(files)), files, name)
    written = write_new(output, found.files, force=force)
    faults = _faults(found, output)
    entries = _entries(found, output)
    if as_json:
        issues = [camel_case(issue) for issue in faults]
        print_json({"written": list(written), "prompts": list(found.prompts), "notes": list(found.notes),
                    "issues": issues, "kitfile": entries})  # fmt: skip
        return
    _say_notes(found.notes, quiet=quiet)
    show_issues(faults, err=True)
    left = len(found.files) - len(written)
    same = f", {left} there already" if left else ""
    say(f"{count(len(written), 'file')} written to {output}{same}; for the Kitfile:", quiet=quiet)
    click.echo(safe_text(entries), nl=False)


@click.command("export")
@click.argument("what", metavar="REF|DIR|FILE", type=PROMPTS)
@click.option("-o", "--output", metavar="DIR", type=NEW_FOLDER, required=True, help="The folder to write to.")
@click.option("--to", "kind", type=_KIND, required=True, help="What to write.")
@click.option("--prompt", "names", metavar="NAME", multiple=True, help="Only this prompt; may be repeated.")
@_force_option
@local_option
@json_option
@quiet_option
@with_registry
def prompt_export_command(
    what: str,
    *,
    output: Path,
    kind: str,
    names: tuple[str, ...],
    force: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Write the prompts of a bundle or a folder as files of another tool, all of them or none.

    Says what the other tool has no place for.

    \b
      kitpack prompt export assistant:1.4.0 --to prompty -o out
      kitpack prompt export samples/support-bot --to promptfoo -o eval
    """
    from kitpack.artifact.unpacking.newfiles import write_new
    from kitpack.promptplaces import find_prompts
    from kitpack.prompts.exchange.kinds import export_prompts

    prompts = find_prompts(what, local=local, settings=settings)
    if prompts.faults and not names:
        raise PromptError(prompts.faults)
    chosen = [prompts.prompt(name) for name in names] if names else list(prompts.found)
    if not chosen:
        say(f"{what} has no prompts", quiet=quiet)
    found = export_prompts(kind, chosen)
    written = write_new(output, found.files, force=force) if chosen else ()
    if as_json:
        print_json({"written": list(written), "notes": list(found.notes)})
        return
    _say_notes(found.notes, quiet=quiet)
    for path in written:
        click.echo(safe_text(str(output / path)))


def _say_notes(notes: tuple[str, ...], *, quiet: bool) -> None:
    for note in notes:
        say(f"note: {note}", quiet=quiet)


def _faults(found: Imported, output: Path) -> list[Issue]:
    """What keeps the files from being prompts yet, such as filters that only the other tool knows."""
    from kitpack.errors import NotFoundError
    from kitpack.prompts.parse import parse_prompt

    files = dict(found.files)

    def read(path: str) -> bytes:
        if path not in files:
            raise NotFoundError(f"there is no {path}")
        return files[path]

    issues: list[Issue] = []
    for path in found.prompts:
        try:
            parse_prompt(files[path], path, read=read)
        except PromptError as error:
            issues += error.issues
    return [Issue(path=str(output / one.path), line=one.line, column=one.column, message=one.message, hint=one.hint)
            for one in issues]  # fmt: skip


def _entries(found: Imported, output: Path) -> str:
    """The lines that a Kitfile needs: the folder where prompts take in other files, else each prompt."""
    from kitpack.document.emit import emit
    from kitpack.kitfile.model import KITFILE_NAMES

    place = output.resolve()
    roots = (one for one in (place, *place.parents) if any((one / name).is_file() for name in KITFILE_NAMES))
    root = next(roots, place.parent)
    whole = len(found.prompts) < len(found.files)
    paths = [place] if whole else [place / path for path in found.prompts]
    return emit({"prompts": [{"path": path.relative_to(root).as_posix()} for path in paths]})
