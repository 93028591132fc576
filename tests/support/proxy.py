"""A TCP proxy that counts: how many bytes a command really sends to a registry and fetches from it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

__all__ = ["CountingProxy", "counting_proxy"]


class CountingProxy:
    """What went through so far.

    Attributes:
        address: Where the proxy listens, ``127.0.0.1:PORT``.
        sent: Bytes from clients to the server.
        received: Bytes from the server to clients.
    """

    def __init__(self) -> None:
        self.address = ""
        self.sent = 0
        self.received = 0
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Count from zero."""
        with self._lock:
            self.sent = self.received = 0

    def sends(self, size: int) -> None:
        with self._lock:
            self.sent += size

    def receives(self, size: int) -> None:
        with self._lock:
            self.received += size


@contextlib.contextmanager
def counting_proxy(server: str) -> Iterator[CountingProxy]:
    """Listen on a free loopback port, and pass everything on to a server (``HOST:PORT``), while the context lasts."""
    proxy = CountingProxy()
    host, _, port = server.rpartition(":")
    handler = type("_BoundHandler", (_Handler,), {"proxy": proxy, "upstream": (host, int(port))})
    with _Server(("127.0.0.1", 0), handler) as listener:
        proxy.address = f"127.0.0.1:{listener.server_address[1]}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown()
            thread.join()


class _Handler(socketserver.BaseRequestHandler):
    proxy: CountingProxy
    upstream: tuple[str, int]

    def handle(self) -> None:
        with socket.create_connection(self.upstream) as server:
            back = threading.Thread(target=self._answer, args=(server,), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while block := self.request.recv(1 << 16):
                    self.proxy.sends(len(block))
                    server.sendall(block)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _answer(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := server.recv(1 << 16):
                self.proxy.receives(len(block))
                self.request.sendall(block)
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
