"""An image layout served as an OCI registry: what pack wrote can be pulled, what is pushed is in the layout at once.

::

    from kitpack.server import serving

    with serving("bundles") as url:
        ...  # http://127.0.0.1:40123 until the block ends

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from kitpack.content.store.layout import Layout
from kitpack.errors import UnsupportedError

__all__ = ["require_libraries", "serving"]


@contextmanager
def serving(
    layout: Layout | str | os.PathLike[str],
    *,
    htpasswd: Path | None = None,
    read_only: bool = False,
    tls: tuple[Path, Path] | None = None,
    log: Callable[[str], None] | None = None,
    verbose: bool = False,
) -> Iterator[str]:
    """Serve a layout on a free port of this machine, in a thread of its own, until the context ends.

    Args:
        layout: The layout, or its folder, which may be empty.
        htpasswd: Let in only those whom this file knows.
        read_only: Whether to refuse every change.
        tls: Files with a certificate and its key, PEM, to speak TLS.
        log: Told in one line about every change.
        verbose: Whether it is told about every request, too.

    Yields:
        The address, such as ``http://127.0.0.1:40123``.

    Raises:
        UnsupportedError: When the libraries of the extra ``serve`` are not installed.
        StoreError: When the folder is not a layout.
        UsageError: When the password file or the certificate cannot be used.
    """
    require_libraries(passwords=htpasswd is not None)
    from kitpack.server.run import Serving, in_background

    path = layout.path if isinstance(layout, Layout) else Path(layout)
    wanted = Serving(root=path, htpasswd=htpasswd, read_only=read_only, tls=tls, log=log, verbose=verbose)
    with in_background(wanted) as url:
        yield url


def require_libraries(*, passwords: bool = False) -> None:
    """Make sure that the libraries are there that only a server needs.

    Args:
        passwords: Whether passwords will be checked.

    Raises:
        UnsupportedError: When one is not installed.
    """
    missing = [name for name in ("aiohttp", *(["bcrypt"] if passwords else [])) if find_spec(name) is None]
    if missing:
        raise UnsupportedError(
            f"serving needs {' and '.join(missing)}, which is not installed", hint="pip install 'kitpack[serve]'"
        )
