"""An application's life with a real registry that comes and goes: what it serves, and what it says about it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kitpack
from kitpack.content.store.folder import blob_path
from kitpack.errors import UnreachableError
from kitpack.oci.digest import Digest
from tests.support.bots import WEIGHTS, write_bot
from tests.support.cli import Terminal
from tests.support.proxy import counting_proxy
from tests.support.registries import KINDS, running_registry
from tests.support.registry import settings_in

REPOSITORY = Path(__file__).parents[2]
APPLICATION = """
import json, logging, sys
import kitpack
logging.basicConfig(stream=sys.stderr)
bot = kitpack.load(sys.argv[1])
path = bot.model_path if "weights" in sys.argv else None
print(json.dumps({
    "digest": bot.digest, "stale": bot.is_stale, "age": bot.age.total_seconds(),
    "said": bot.prompt("hello").render().text, "model": str(path or ""),
}))
"""


class Application:
    """A program that loads a bundle, run again and again.

    Args:
        home: Its data home.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home.parent),
            "KITPACK_HOME": str(home),
            "DOCKER_CONFIG": str(home.parent / "docker"),
            "NO_PROXY": "*",
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", APPLICATION, *words]
        return subprocess.Popen(
            command, env=self._environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, *words: str) -> tuple[Any, str]:
        """Run it; what it found, and what it logged."""
        return ended(self.start(*words))


def ended(process: subprocess.Popen[str]) -> tuple[Any, str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out), err


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_verified_copy_outlives_the_registry(kind: str, tmp_path: Path) -> None:
    settings, application = settings_in(tmp_path / "author"), Application(tmp_path / "app" / "home")
    with running_registry(kind) as address:
        reference = f"{address}/team/bot:live"
        digest = str(kitpack.push(write_bot(tmp_path / "one"), reference, settings=settings).digest)
        first, log = application(reference)
        assert (first["digest"], first["stale"], log) == (digest, False, "")
        again, _ = application(reference, "weights")
        assert Path(again["model"]).read_bytes() == WEIGHTS
        second = write_bot(tmp_path / "two", greeting="Good morning")
        new = str(kitpack.push(second, reference, force=True, settings=settings).digest)
        moved, _ = application(reference)
        assert (moved["digest"], moved["said"]) == (new, "Good morning")
        assert kitpack.load(f"{reference}@{digest}", settings=settings).digest == digest
    served, log = application(reference, "weights")
    assert (served["digest"], served["stale"]) == (new, True)
    assert served["said"] == "Good morning"
    assert new in log
    assert "verified 0:00:" in log
    pinned, log = application(f"{address}/team/bot@{digest}", "weights")
    assert (pinned["digest"], pinned["stale"], log) == (digest, False, "")
    with pytest.raises(UnreachableError):
        kitpack.load(f"{address}/team/other:live", settings=settings)


def test_what_a_load_moves(embedded_registry: str, tmp_path: Path) -> None:
    with counting_proxy(embedded_registry) as proxy:
        settings = settings_in(tmp_path)
        reference = f"{proxy.address}/moves/bot:live"
        kitpack.push(write_bot(tmp_path / "bot"), reference, settings=settings)
        proxy.reset()
        kitpack.load(reference, settings=settings)
        assert proxy.received < 20_000, "manifest, Kitfile, three prompts and three configs, no weights"
        proxy.reset()
        digest = kitpack.load(reference, settings=settings).digest
        assert proxy.received < 1000, "one HEAD"
        proxy.reset()
        kitpack.load(f"{proxy.address}/moves/bot@{digest}", settings=settings)
        assert (proxy.sent, proxy.received) == (0, 0)


def test_many_processes_start_at_once(embedded_registry: str, tmp_path: Path) -> None:
    settings, application = settings_in(tmp_path / "author"), Application(tmp_path / "app" / "home")
    reference = f"{embedded_registry}/many/bot:live"
    kitpack.push(write_bot(tmp_path / "one"), reference, settings=settings)
    running = [application.start(reference, "weights") for _ in range(6)]
    found = [ended(process)[0] for process in running]
    assert len({str((one["digest"], one["model"], one["said"], one["stale"])) for one in found}) == 1
    assert Path(found[0]["model"]).read_bytes() == WEIGHTS
    assert not list((application.home / "loaded" / "ingest").iterdir())


def test_a_killed_start_leaves_nothing_in_the_way(embedded_registry: str, tmp_path: Path) -> None:
    settings, application = settings_in(tmp_path / "author"), Application(tmp_path / "app" / "home")
    reference = f"{embedded_registry}/killed/bot:live"
    digest = str(kitpack.push(write_bot(tmp_path / "one"), reference, settings=settings).digest)
    for tries in range(6):
        process = application.start(reference, "weights")
        try:
            process.wait(timeout=0.15 + tries * 0.05)  # each time a little further on
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    found, _ = application(reference, "weights")
    assert found["digest"] == digest
    assert Path(found["model"]).read_bytes() == WEIGHTS


def test_gc_forgets_what_no_application_loads(kitpack: Terminal, embedded_registry: str, tmp_path: Path) -> None:
    import kitpack as door

    settings = settings_in(tmp_path, home=kitpack.home)
    reference = f"{embedded_registry}/unused/bot:live"
    door.push(write_bot(tmp_path / "one"), reference, settings=settings)
    path = door.load(reference, settings=settings).model_path
    assert kitpack("gc", "--json").json["loaded"] == {"bundles": 0, "bytes": 0, "kept": 1}
    for listed in (kitpack.home / "loaded" / "bundles").iterdir():
        os.utime(listed, (0, 0))
    assert "would remove 1 bundle" in kitpack("gc", "--dry-run").err
    assert path.exists()
    assert "not loaded for 30 days" in kitpack("gc").err
    assert not path.exists()
    assert not blob_path(kitpack.home / "loaded", Digest.of_bytes(WEIGHTS)).exists()
    assert door.load(reference, settings=settings).model_path.read_bytes() == WEIGHTS
    kitpack("gc", "--unused", "0")
    kitpack("pack", tmp_path / "one", "-t", "bot:1")
    kitpack("verify")
