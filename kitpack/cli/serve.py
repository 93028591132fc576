"""The command that serves a layout as a registry."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import click

from kitpack.cli.options import json_option, quiet_option, with_settings
from kitpack.cli.render import say
from kitpack.content.store.layout import Layout
from kitpack.errors import KitpackError, UsageError
from kitpack.settings import Settings

__all__ = ["serve_command"]

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command("serve")
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--root",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="An OCI image layout, or an empty folder, instead of the local store.",
)
@click.option("--read-only", is_flag=True, help="Refuse every change.")
@click.option("--htpasswd", metavar="FILE", type=_FILE, help="Let in whom this file knows (`htpasswd -B FILE NAME`).")
@click.option("--tls-cert", metavar="PEM", type=_FILE, help="Speak TLS with this certificate.")
@click.option("--tls-key", metavar="PEM", type=_FILE, help="The key of that certificate.")
@click.option("-v", "--verbose", is_flag=True, help="Report every request, not only changes.")
@json_option
@quiet_option
@with_settings
def serve_command(
    *,
    host: str,
    port: int,
    root: Path | None,
    read_only: bool,
    htpasswd: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    verbose: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Serve the local store, or a layout, as an OCI registry, until Ctrl-C.

    What `pack` wrote can be pulled at once, and what is pushed is in the store at once. Any registry client can use it.

    \b
      kitpack serve
      kitpack serve --root ./bundles --port 0 --read-only
      kitpack serve --host 0.0.0.0 --htpasswd users \\
        --tls-cert cert.pem --tls-key key.pem
    """
    from kitpack.server import require_libraries

    require_libraries(passwords=htpasswd is not None)
    from kitpack.content.registry.origin import is_loopback
    from kitpack.server.run import Serving, serve

    tls = _tls(tls_cert, tls_key)
    if not is_loopback(host):
        _check_exposure(host, read_only=read_only, htpasswd=htpasswd, tls=tls)
    folder = root or settings.home
    wanted = Serving(
        root=folder,
        host=host,
        port=port,
        htpasswd=htpasswd,
        read_only=read_only,
        tls=tls,
        log=None if quiet and not verbose else say,
        verbose=verbose,
    )

    def ready(url: str) -> None:
        if as_json:
            click.echo(json.dumps({"url": url, "root": str(folder), "readOnly": read_only}))
            return
        click.echo(url)
        what = "the local store" if root is None else "the layout"
        say(f"serving {what}, {folder}{', read-only' if read_only else ''}; Ctrl-C ends it", quiet=quiet)
        trust = f" --ca-file {tls_cert}" if tls and is_loopback(host) else ""
        say(f"try: {_next_command(folder, url, read_only=read_only)}{trust}", quiet=quiet)

    if serve(wanted, ready) == signal.SIGINT:
        say("stopped", quiet=quiet)
        raise click.exceptions.Exit(130)


def _tls(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("TLS needs a certificate and its key", hint="name both: --tls-cert PEM --tls-key PEM")
    return certificate, key


def _check_exposure(host: str, *, read_only: bool, htpasswd: Path | None, tls: tuple[Path, Path] | None) -> None:
    """Refuse to let everybody on a network change the store, and warn about what they can do.

    Raises:
        UsageError: When everybody who reaches the address could push.
    """
    if not htpasswd and not read_only:
        raise UsageError(
            f"everybody who can reach {host} could change the store",
            hint="add --htpasswd FILE to ask for passwords, or --read-only; without --host, only this machine gets in",
        )
    if htpasswd and not tls:
        say(
            f"WARNING: passwords travel to {host} in clear text, for everybody on the way to read; "
            "add --tls-cert and --tls-key, or put a proxy with TLS in front"
        )
    if not htpasswd:
        say(f"WARNING: everybody who can reach {host} can read everything that is served")


def _next_command(folder: Path, url: str, *, read_only: bool) -> str:
    """What to type next: fetch something that is there, or bring the first thing."""
    from kitpack.server.catalog import home_of
    from kitpack.server.names import split_name

    address, home = url.partition("://")[2], home_of(folder)
    try:
        places = [place for name in Layout(folder).tags() if (place := split_name(name, home))]
    except KitpackError:
        places = []
    if places or read_only:
        return f"kitpack inspect {address}/{':'.join(places[0]) if places else 'NAME:TAG'}"
    return f"kitpack push DIR {address}/NAME:TAG"
