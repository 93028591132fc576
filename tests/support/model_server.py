"""A server of models in this process, which speaks both APIs and answers as it was told to.

It listens on a loopback port and remembers what it was asked. Answers are scripted one after the other; the last one
stays. Nothing sleeps: a slow answer waits for an event that the test sets, or for the client to go away.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Answer", "Asked", "ModelServer", "claude", "claude_stream", "gpt", "gpt_stream", "model_server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it arrived; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer.

    Attributes:
        pieces: The body, sent piece by piece.
        status: The HTTP status; 0 breaks the connection without an answer.
        content_type: The type of the body.
        headers: Further headers.
        cut: Whether the connection breaks after the last piece, before the body has ended.
        hold: What to wait for after the first piece, or before the status when there are no pieces.
    """

    pieces: Sequence[bytes] = ()
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    hold: threading.Event | None = None


class ModelServer:
    """What it will answer, and what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.scheme = "http"
        self.asked: list[Asked] = []
        self.left: list[Answer] = []
        self.was_asked = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def says(self, *answers: Answer) -> ModelServer:
        """Give these answers from now on, one after the other; the last one stays."""
        self.left = list(answers)
        return self

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            self.was_asked.set()
            return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def gpt(text: str = "Hello.", *, model: str = "test-1", reason: str = "stop", **message: Any) -> Answer:
    """An answer of OpenAI's API."""
    return Answer(
        pieces=[
            json.dumps(
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "model": model,
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": text, **message},
                            "finish_reason": reason,
                        }
                    ],
                    "usage": {
                        "prompt_tokens": 11,
                        "completion_tokens": 7,
                        "prompt_tokens_details": {"cached_tokens": 4},
                        "completion_tokens_details": {"reasoning_tokens": 2},
                    },
                }
            ).encode()
        ]
    )


def gpt_stream(
    *texts: str, model: str = "test-1", reason: str | None = "stop", done: bool = True, **how: Any
) -> Answer:
    """The same in pieces: a comment, a chunk for each text, the reason, the tokens, and the end."""
    top = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model}
    deltas: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in texts
    ]
    if reason is not None:
        deltas.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        deltas.append({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}})
    events = [b": keep-alive\n\n", *(_event({**top, **delta}) for delta in deltas)]
    if done:
        events.append(b"data: [DONE]\n\n")
    return Answer(pieces=events, content_type="text/event-stream; charset=utf-8", **how)


def claude(text: str = "Hello.", *, model: str = "claude-test-1", reason: str = "end_turn", **more: Any) -> Answer:
    """An answer of Anthropic's API."""
    usage = {"input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2, "output_tokens": 7}
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": text}]
    top = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_reason": reason}
    return Answer(pieces=[json.dumps({**top, "content": blocks, "usage": usage, **more}).encode()])


def claude_stream(*texts: str, model: str = "claude-test-1", reason: str = "end_turn", **how: Any) -> Answer:
    """The same in pieces, with an event that says nothing, as the API sends them."""
    start: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**start, "usage": {"input_tokens": 5, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}} for one in texts),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]
    pieces = [f"event: {one['type']}\n".encode() + _event(one) for one in events]
    return Answer(pieces=pieces, content_type="text/event-stream", **how)


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    models: ModelServer

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.models.answer(Asked(path=self.path, headers=headers, body=json.loads(raw)))
        with contextlib.suppress(OSError):
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        if not answer.status or (answer.hold and not answer.pieces):
            self._wait(answer)
            self._break()
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, piece in enumerate(answer.pieces):
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if not number:
                self._wait(answer)
        if answer.cut:
            self._break()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _wait(self, answer: Answer) -> None:
        if answer.hold is not None:
            answer.hold.wait(10)

    def _break(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none of ours."""


@contextlib.contextmanager
def model_server(tls: ssl.SSLContext | None = None) -> Iterator[ModelServer]:
    """Serve models on a free loopback port while the context lasts."""
    models = ModelServer()
    handler = type("_BoundHandler", (_Handler,), {"models": models})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            models.scheme = "https"
        models.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield models
        finally:
            server.shutdown()
            thread.join()
