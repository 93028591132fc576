"""A registry from its start to its end: the socket, the threads, the housekeeping, and an orderly stop."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from kitpack.content.store.folder import begin_layout, require_layout
from kitpack.errors import KitpackError, UsageError
from kitpack.server.access import Passwords
from kitpack.server.app import Registry
from kitpack.server.doors import MOST_CONNECTIONS, Doors
from kitpack.server.served import Served
from kitpack.server.threads import Threads
from kitpack.server.uploads import MOST_SESSIONS, Uploads, remove_leftovers

__all__ = ["Serving", "in_background", "serve"]

_LOOPBACK = "127.0.0.1"
_PATIENCE = 10.0
_BREAK_OFF = 1.0
_EXPIRE_EVERY = 60.0
_TOUCH_EVERY = 240.0
_LOOK_AT_DOORS_EVERY = 5.0
_FILES = 2 * MOST_CONNECTIONS + 2 * MOST_SESSIONS + 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What to serve, where, and to whom.

    Attributes:
        root: The folder of the layout; an empty or missing one becomes a layout unless it is only read.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        htpasswd: Who may come in; None for everybody.
        read_only: Whether every change is refused.
        tls: Files with a certificate and its key, PEM; None to speak without TLS.
        log: Told in one line about every change.
        verbose: Whether it is told about every request, too.
    """

    root: Path
    host: str = "127.0.0.1"
    port: int = 0
    htpasswd: Path | None = None
    read_only: bool = False
    tls: tuple[Path, Path] | None = None
    log: Callable[[str], None] | None = None
    verbose: bool = False


def serve(wanted: Serving, ready: Callable[[str], None]) -> int:
    """Serve until a signal comes; running requests get some seconds to end, unless a second one comes.

    Args:
        wanted: What to serve.
        ready: Called with the address once requests are accepted.

    Returns:
        The number of the signal.

    Raises:
        KeyboardInterrupt: When a second signal does not want to wait.
        UsageError: When the password file or the certificate cannot be used.
        StoreError, NotFoundError: When the folder is not a layout.
        KitpackError: When the address cannot be listened on.
    """
    _allow_files()
    return asyncio.run(_until_signal(wanted, ready))


@contextmanager
def in_background(wanted: Serving) -> Iterator[str]:
    """Serve in a thread of its own until the context ends, and yield the address. Raises as :func:`serve`."""
    started: Future[tuple[str, Callable[[], object]]] = Future()
    thread = threading.Thread(target=partial(_run_until_told, wanted, started), name="kitpack-serve")
    thread.start()
    try:
        url, stop = started.result()
        try:
            yield url
        finally:
            stop()
    finally:
        thread.join()


def _run_until_told(wanted: Serving, started: Future[tuple[str, Callable[[], object]]]) -> None:
    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        async with _running(wanted, asyncio.Event()) as url:
            started.set_result((url, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    try:
        asyncio.run(main())
    except BaseException as error:  # noqa: BLE001 - whoever waits for the start must hear of it
        if not started.done():
            started.set_exception(error)


async def _until_signal(wanted: Serving, ready: Callable[[str], None]) -> int:
    """Serve, and stop at the first signal; at the second, at once."""
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.put_nowait, number)
    hurry = asyncio.Event()
    async with _running(wanted, hurry) as url:
        ready(url)
        first = await signals.get()
        second = loop.create_task(signals.get())
        second.add_done_callback(lambda done: None if done.cancelled() else hurry.set())
    second.cancel()
    if hurry.is_set():
        raise KeyboardInterrupt
    return first


@asynccontextmanager
async def _running(wanted: Serving, hurry: asyncio.Event) -> AsyncIterator[str]:
    """A registry that accepts requests inside the context."""
    threads = Threads()
    left = ExitStack()
    try:
        passwords = await threads.check(partial(_passwords, wanted.htpasswd))
        secure = await threads.check(partial(_secured, wanted.tls))
        served = await threads.write(partial(_open, wanted, left))
        uploads = Uploads(served)
        left.callback(uploads.close)
        tell = partial(threads.tell, wanted.log) if wanted.log else _to_nobody
        registry = Registry(served, uploads, threads, passwords=passwords, log=tell, verbose=wanted.verbose)
        async with _listening(wanted, registry, secure, hurry) as port, _kept_house(served, uploads, threads):
            host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
            yield f"{'https' if secure else 'http'}://{host}:{port}"
    finally:
        threads.close(wait=not hurry.is_set())
        if not hurry.is_set():  # else the process ends, and the next start removes what is left
            left.close()


@asynccontextmanager
async def _listening(
    wanted: Serving, registry: Registry, secure: ssl.SSLContext | None, hurry: asyncio.Event
) -> AsyncIterator[int]:
    """Accept connections; at the end, let the running requests finish."""
    doors = Doors(registry.handle)
    runner = web.ServerRunner(doors, shutdown_timeout=_BREAK_OFF)
    with _bound(wanted.host, wanted.port) as bound:
        await runner.setup()
        site = web.SockSite(runner, bound, ssl_context=secure)
        await site.start()
        watching = asyncio.create_task(_watch(doors))
        try:
            yield bound.getsockname()[1]
        finally:
            watching.cancel()
            await site.stop()
            await _first_of(_finished(registry), hurry)
            await _first_of(runner.cleanup(), hurry)


@asynccontextmanager
async def _kept_house(served: Served, uploads: Uploads, threads: Threads) -> AsyncIterator[None]:
    """End forgotten uploads and keep new blobs young, again and again."""
    chores = [(_EXPIRE_EVERY, uploads.expire), (_TOUCH_EVERY, served.keep_young)]
    tasks = [asyncio.create_task(_repeat(every, work, threads)) for every, work in chores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(doors: Doors) -> None:
    while True:
        await asyncio.sleep(_LOOK_AT_DOORS_EVERY)
        doors.close_idle()


async def _repeat(every: float, work: Callable[[], None], threads: Threads) -> None:
    while True:
        await asyncio.sleep(every)
        with suppress(OSError):
            await threads.write(work)


async def _finished(registry: Registry) -> None:
    """Wait for the running requests; the server itself would take in no more bytes of them once it closes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await registry.stop()


async def _first_of(work: Coroutine[None, None, None], event: asyncio.Event) -> None:
    """Wait for work to end, or for an event that says that it need not."""
    tasks = [asyncio.ensure_future(one) for one in (work, event.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _open(wanted: Serving, left: ExitStack) -> Served:
    """Open the layout, or begin one, and remove what a killed server left in it."""
    if wanted.read_only:
        require_layout(wanted.root)
    else:
        begin_layout(wanted.root)
        remove_leftovers(wanted.root)
    served = Served(wanted.root, read_only=wanted.read_only)
    left.callback(served.close)
    served.catalog()
    return served


def _passwords(path: Path | None) -> Passwords | None:
    return Passwords(path) if path else None


def _secured(files: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    if files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(*files, password=_no_password)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{files[0]} and {files[1]} cannot be used for TLS: {error}",
            hint="name a certificate and its key, both PEM, the key without a password",
        ) from None
    return context


def _no_password() -> str:
    raise ValueError("the key is protected by a password")


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            _LOOPBACK if host == "localhost" else host, port, type=socket.SOCK_STREAM
        )[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=128)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "is taken by another program" if taken else f"cannot be listened on: {error.strerror or error}"
        hint = "choose another with --port; 0 takes a free one" if taken else "choose others with --host and --port"
        raise KitpackError(f"port {port} of {host} {reason}", hint=hint) from None


def _allow_files() -> None:
    """Let this process open as many files as connections and uploads may need; some systems begin with 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _to_nobody(line: str) -> None:
    """Tell nobody."""
