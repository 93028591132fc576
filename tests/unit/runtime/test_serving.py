"""Which prompt is being served, in log records and in spans."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from kitpack.oci.jsontext import Json
from kitpack.runtime.identity import Identity
from kitpack.runtime.logs import IdentityFilter, active_identity, serving
from kitpack.runtime.telemetry import CONVENTION, identity_attributes, request_attributes, value_attributes

DIGEST = f"sha256:{'ab' * 32}"
TRIAGE = Identity(
    prompt_name="triage",
    prompt_version="1.4.0",
    prompt_digest=f"sha256:{'cd' * 32}",
    bundle_reference="localhost:5000/bot:production",
    bundle_digest=DIGEST,
    fingerprint=f"sha256:{'ef' * 32}",
    engine="jinja 3",
)
REPLY = Identity(prompt_name="reply")


class Records(logging.Handler):
    """Keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(IdentityFilter())
        self.found: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.__dict__)


@pytest.fixture
def records() -> Iterator[Records]:
    handler, root = Records(), logging.getLogger("tests.serving")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)


def log(text: str = "") -> None:
    logging.getLogger("tests.serving.child").info(text)


def test_the_attributes_of_the_convention() -> None:
    assert CONVENTION
    assert identity_attributes(TRIAGE) == {
        "gen_ai.prompt.name": "triage",
        "gen_ai.prompt.version": "1.4.0",
        "kitpack.bundle.ref": "localhost:5000/bot:production",
        "kitpack.bundle.digest": DIGEST,
        "kitpack.prompt.digest": f"sha256:{'cd' * 32}",
        "kitpack.prompt.fingerprint": f"sha256:{'ef' * 32}",
        "kitpack.prompt.engine": "jinja 3",
    }
    assert identity_attributes(REPLY) == {"gen_ai.prompt.name": "reply"}
    assert value_attributes({"a": "x", "b": [1, "ü"]}) == {
        "gen_ai.prompt.variable.a": "x",
        "gen_ai.prompt.variable.b": '[1, "ü"]',
    }


def test_the_attributes_of_a_request() -> None:
    parameters: dict[str, Json] = {
        "temperature": 0.5,
        "stop": "END",
        "max_tokens": 9,
        "logit_bias": {"1": 2},
        "seed": None,
    }
    assert request_attributes("gpt-5", parameters) == {
        "gen_ai.request.model": "gpt-5",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.request.max_tokens": 9,
    }
    for model in ("gpt-4.*", "bundle", ""):
        assert request_attributes(model, {}) == {}


def test_records_carry_what_is_served_while_it_is(records: Records) -> None:
    log()
    with serving(TRIAGE):
        log()
        with serving(REPLY, {"more": 1}):
            log()
        log()
    log()
    assert [one["kitpack"] for one in records.found] == [
        "-",
        "triage@1.4.0 sha256:abababababab",
        "reply",
        "triage@1.4.0 sha256:abababababab",
        "-",
    ]
    assert [one.get("gen_ai.prompt.name") for one in records.found] == [None, "triage", "reply", "triage", None]
    assert records.found[2]["more"] == 1
    assert "kitpack.bundle.digest" not in records.found[2]


def test_a_format_can_name_them(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(IdentityFilter())
    handler.setFormatter(logging.Formatter("%(kitpack)s|%(message)s"))
    logger = logging.getLogger("tests.serving")
    logger.addHandler(handler)
    try:
        log("before")
        with serving(REPLY):
            log("during")
    finally:
        logger.removeHandler(handler)
    assert "-|before\nreply|during\n" in capsys.readouterr().err


def test_it_ends_with_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), serving(TRIAGE):
        _ = 1 / 0
    assert active_identity() is None


def test_tasks_inherit_it_and_do_not_disturb_each_other(records: Records) -> None:
    async def serve(identity: Identity, mine: asyncio.Event, other: asyncio.Event) -> None:
        with serving(identity):
            mine.set()
            await other.wait()
            log()
            await asyncio.to_thread(log)

    async def both() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(serve(TRIAGE, one, two), serve(REPLY, two, one))
        log()

    asyncio.run(both())
    names = sorted(str(found.get("gen_ai.prompt.name")) for found in records.found)
    assert names == ["None", "reply", "reply", "triage", "triage"]


def test_threads_have_their_own(records: Records) -> None:
    inside = threading.Barrier(2, timeout=10)

    def serve(identity: Identity) -> None:
        with serving(identity):
            inside.wait()
            log()
            inside.wait()

    threads = [threading.Thread(target=serve, args=(one,)) for one in (TRIAGE, REPLY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(one["gen_ai.prompt.name"]) for one in records.found) == ["reply", "triage"]
    assert active_identity() is None


def test_the_current_span_is_annotated() -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

    tracer = TracerProvider().get_tracer("tests")
    with tracer.start_as_current_span("chat") as span, serving(TRIAGE, value_attributes({"ticket": "help"})):
        assert isinstance(span, ReadableSpan)
        found = dict(span.attributes or {})
    assert found == identity_attributes(TRIAGE) | {"gen_ai.prompt.variable.ticket": "help"}
    with serving(TRIAGE):
        """Without a span there is nothing to annotate, and nothing fails."""


def test_opentelemetry_is_not_imported() -> None:
    code = """
import sys
from kitpack.runtime.logs import serving
from kitpack.runtime.identity import Identity
with serving(Identity(prompt_name="x")):
    print(*(name for name in sys.modules if name.startswith("opentelemetry")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
