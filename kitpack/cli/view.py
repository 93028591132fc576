"""The command that lists bundles: list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kitpack.cli.options import json_option, local_option, with_registry
from kitpack.cli.render import camel_case, human_size, one_line, print_json, print_table, say
from kitpack.cli.types import REFERENCE
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.names import Listed

__all__ = ["list_command"]


@click.command("list")
@click.argument("repository", metavar="[REPO]", required=False, type=REFERENCE)
@local_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print the references only.")
@click.option("-a", "--all", "records", is_flag=True, help="Also the records of release logs.")
@with_registry
def list_command(
    repository: str | None, *, local: bool, as_json: bool, quiet: bool, records: bool, settings: Settings
) -> None:
    """List bundles: all of the local store, those of one name, or the tags of a repository.

    A channel is marked; `kitpack history` shows what it stood for, `kitpack status` where every version stands.

    \b
      kitpack list
      kitpack list localhost:5000/team/assistant
      kitpack list oci:/media/usb
    """
    from kitpack.names import list_bundles

    found = list_bundles(repository or "", local=local, records=records, settings=settings)
    if as_json:
        print_json([camel_case(one) for one in found])
    elif quiet:
        for one in found:
            click.echo(one_line(one.reference))
    elif not found:
        say("nothing here yet; `kitpack pack DIR -t NAME:TAG` makes a bundle")
    else:
        _print_listed(found)


def _print_listed(found: Sequence[Listed]) -> None:
    """A table with the columns that say anything."""
    columns = {
        "REFERENCE": [one.reference for one in found],
        "KIND": ["channel" if one.channel else "" for one in found],
        "SIZE": ["" if one.size is None else human_size(one.size) for one in found],
        "DIGEST": [one.digest for one in found],
    }
    header = [name for name, cells in columns.items() if any(cells)]
    rows = list(zip(*(columns[name] for name in header), strict=True))
    print_table(rows, header=header, right=frozenset({header.index("SIZE")} if "SIZE" in header else ()))
