"""A TCP proxy that counts what a command really sends to a registry and fetches from it, and can be a bad network."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

__all__ = ["CountingProxy", "counting_proxy"]


class CountingProxy:
    """What went through so far.

    Attributes:
        address: Where the proxy listens, ``127.0.0.1:PORT``.
        sent: Bytes from clients to the server.
        received: Bytes from the server to clients.
        connections: How many clients have connected.
        cuts: After so many bytes from clients the connection they came by breaks; one number for each break.
        rate: Bytes a second that one connection carries from the server; 0 for as many as there are.
    """

    def __init__(self, server: str, *, rate: float = 0.0) -> None:
        self.address = ""
        self.sent = 0
        self.received = 0
        self.connections = 0
        self.cuts: list[int] = []
        self.rate = rate
        self._lock = threading.Lock()
        self._server = server

    def move_to(self, server: str) -> None:
        """Let new connections lead to another server."""
        self._server = server

    @property
    def upstream(self) -> tuple[str, int]:
        """The server."""
        host, _, port = self._server.rpartition(":")
        return host, int(port)

    def reset(self) -> None:
        """Count from zero."""
        with self._lock:
            self.sent = self.received = self.connections = 0

    def connects(self) -> None:
        with self._lock:
            self.connections += 1

    def sends(self, size: int) -> bool:
        """Count, and say whether the connection breaks now."""
        with self._lock:
            self.sent += size
            if not self.cuts or self.sent < self.cuts[0]:
                return False
            self.cuts.pop(0)
            return True

    def receives(self, size: int) -> None:
        with self._lock:
            self.received += size


@contextlib.contextmanager
def counting_proxy(server: str, *, rate: float = 0.0) -> Iterator[CountingProxy]:
    """Listen on a free loopback port, and pass everything on to a server (``HOST:PORT``), while the context lasts."""
    proxy = CountingProxy(server, rate=rate)
    handler = type("_BoundHandler", (_Handler,), {"proxy": proxy})
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

    def handle(self) -> None:
        self.proxy.connects()
        with socket.create_connection(self.proxy.upstream) as server:
            back = threading.Thread(target=self._answer, args=(server,), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while block := self.request.recv(1 << 16):
                    is_last = self.proxy.sends(len(block))
                    server.sendall(block)
                    if is_last:
                        self._break(server)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _break(self, server: socket.socket) -> None:
        for end in (self.request, server):
            end.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := server.recv(1 << 16):
                self.proxy.receives(len(block))
                if self.proxy.rate:
                    time.sleep(len(block) / self.proxy.rate)
                self.request.sendall(block)
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
