"""``kitpack serve`` among people: one packs and serves, another pushes and pulls; whatever happens, no byte is lost.

How the command starts and ends is shown in ``tests/unit/server/test_command.py``, what it answers beside it.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import bcrypt
import pytest

from kitpack.content.store.layout import Layout
from kitpack.oci.digest import Digest
from tests.support.bundles import manifest_of, noise, push_artifact
from tests.support.cli import Terminal
from tests.support.distribution import talking
from tests.support.everything import tree_of
from tests.support.packing import write_files
from tests.support.serving import make_certificate, serve_process, started

SIZE = 48 << 20


@pytest.fixture
def colleague(tmp_path: Path) -> Terminal:
    """Somebody else, with a store of their own."""
    return Terminal(tmp_path / "colleague")


@pytest.fixture
def address(kitpack: Terminal) -> Iterator[str]:
    """Where the store of this test's person is served."""
    with started(home=kitpack.folder) as url:
        yield url.removeprefix("http://")


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """The folder of a bundle that takes a moment to send."""
    return write_files(tmp_path / "big", {"w.gguf": b"GGUF" + noise(SIZE)}, "model: {path: w.gguf}\n")


# what pack wrote, and what others push


def test_what_is_packed_can_be_pulled_and_what_is_pushed_can_be_seen(
    kitpack: Terminal, colleague: Terminal, bot: Path, address: str, tmp_path: Path
) -> None:
    digest = kitpack("pack", bot, "-t", "bot:1").out
    assert colleague("pull", f"{address}/bot:1").out == digest
    colleague("unpack", f"{address}/bot:1", "-o", tmp_path / "out")
    assert tree_of(tmp_path / "out") == tree_of(bot)
    (bot / "app.yaml").write_text("temperature: 1\n")
    pushed = colleague("push", bot, f"{address}/bot:2").out
    assert kitpack("inspect", "-q", "bot:2").out == pushed
    assert kitpack("list", "-q").out.split() == ["bot:1", "bot:2"]
    assert "temperature" in kitpack("diff", "bot:1", "bot:2").out
    assert colleague("list", "-q", f"{address}/bot").out.split() == [f"{address}/bot:1", f"{address}/bot:2"]
    kitpack("tag", "bot:2", "live")
    assert colleague("inspect", "-q", f"{address}/bot:live").out == pushed
    kitpack("remove", "bot:1")
    colleague("inspect", f"{address}/bot:1", code=4)


def test_a_tag_of_the_owner_is_not_moved_by_accident(
    kitpack: Terminal, colleague: Terminal, bot: Path, address: str
) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    (bot / "app.yaml").write_text("temperature: 1\n")
    assert "--force" in colleague("push", bot, f"{address}/bot:1", code=5).err
    moved = colleague("push", bot, f"{address}/bot:1", "--force").out
    assert kitpack("inspect", "-q", "bot:1").out == moved
    kitpack("verify")


def test_what_was_pushed_over_goes_only_when_asked(
    kitpack: Terminal, colleague: Terminal, bot: Path, address: str
) -> None:
    first = colleague("push", bot, f"{address}/bot:1").out.strip()
    (bot / "model/bot.gguf").write_bytes(b"GGUF" + noise(3000, 4))
    colleague("push", bot, f"{address}/bot:1", "--force")
    kitpack("gc", "--grace", "0")
    assert colleague("inspect", "-q", f"{address}/bot@{first}").out.strip() == first
    assert kitpack("gc", "--grace", "0", "--untagged", "--json").json["untagged"] == 1
    colleague("inspect", f"{address}/bot@{first}", code=4)
    colleague("pull", f"{address}/bot:1")
    kitpack("verify")


# who may


def test_a_registry_that_is_only_read(kitpack: Terminal, colleague: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    before = tree_of(kitpack.home)
    with started("--read-only", home=kitpack.folder) as url:
        there = url.removeprefix("http://")
        colleague("pull", f"{there}/bot:1")
        assert "read-only" in colleague("push", bot, f"{there}/bot:2", code=7).err
        assert "read-only" in colleague("tag", f"{there}/bot:1", "live", code=7).err
    assert tree_of(kitpack.home) == before


def test_passwords(kitpack: Terminal, colleague: Terminal, bot: Path, tmp_path: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    users = tmp_path / "users"
    users.write_text("ann:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode())
    with started("--htpasswd", str(users), home=kitpack.folder) as url:
        there = url.removeprefix("http://")
        login = ("login", there, "-u", "ann", "--password-stdin")
        assert f"kitpack login {there}" in colleague("pull", f"{there}/bot:1", code=8).err
        assert "does not accept" in colleague(*login, stdin="wrong", code=8).err
        colleague(*login, stdin="secret")
        colleague("pull", f"{there}/bot:1")
        colleague("push", bot, f"{there}/bot:2")
        users.write_text("bob:" + bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode())
        colleague("inspect", f"{there}/bot:2", code=8)


def test_tls(kitpack: Terminal, colleague: Terminal, bot: Path, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    digest = kitpack("pack", bot, "-t", "bot:1").out
    with started("--tls-cert", str(certificate), "--tls-key", str(key), home=kitpack.folder) as url:
        there = url.removeprefix("https://")
        assert colleague("pull", f"{there}/bot:1", "--ca-file", certificate).out == digest
        assert colleague("push", bot, f"{there}/bot:2", "--ca-file", certificate).out == digest
    said = (kitpack.folder / "serve.err").read_text()
    assert "pushed bot:2" in said


# many at once


def test_everybody_who_refers_to_a_bundle_is_listed(
    kitpack: Terminal, colleague: Terminal, bot: Path, address: str, tmp_path: Path
) -> None:
    """Twenty at the same moment: some by hand, some with the command, in processes of their own."""
    colleague("push", bot, f"{address}/bot:1")
    subject = Layout(kitpack.home).resolve("bot:1")
    commands, wanted = [], set()
    for number in range(4):
        usb = tmp_path / f"usb{number}"
        colleague("copy", f"{address}/bot:1", f"oci:{usb}:1")
        wanted.add(str(push_artifact(Layout(usb), {"s": str(number).encode()}, subject=subject).digest))
        commands.append(("copy", "--referrers", f"oci:{usb}:1", f"{address}/bot:1"))
    manifests = [
        manifest_of({}, subject=subject, annotations={"number": str(number)}) for number in range(20 - len(commands))
    ]
    with talking(f"http://{address}") as client:
        client.push_blob("bot", b"{}")
    gate = threading.Barrier(len(manifests))

    def push(number: int) -> str:
        with talking(f"http://{address}") as client:
            gate.wait()
            assert client.push_manifest("bot", manifests[number]).status == 201
        return str(manifests[number].digest)

    running = [colleague.process(*command) for command in commands]
    with ThreadPoolExecutor(len(manifests)) as pool:
        wanted.update(pool.map(push, range(len(manifests))))
    for process in running:
        assert process.communicate(timeout=60)[1]
        assert process.returncode == 0
    with talking(f"http://{address}") as client:
        assert set(client.referrers("bot", subject.digest)) == wanted
    assert {str(one.digest) for one in Layout(kitpack.home).referrers(subject)} == wanted
    assert len(wanted) == 20


def test_many_processes_push_versions(kitpack: Terminal, colleague: Terminal, bot: Path, address: str) -> None:
    pushed = [colleague.process("push", bot, f"{address}/bot:{number}", "-q") for number in range(8)]
    ended = [process.communicate(timeout=120)[1] for process in pushed]
    assert [process.returncode for process in pushed] == [0] * 8, ended
    assert len(kitpack("list", "-q").out.split()) == 8
    kitpack("verify")


# killed


def test_the_same_push_goes_on_after_the_server_was_killed(
    kitpack: Terminal, colleague: Terminal, big: Path, tmp_path: Path
) -> None:
    with serve_process(home=kitpack.folder) as (server, url):
        there = url.removeprefix("http://")
        port = str(urlsplit(url).port)
        pushing = colleague.process("push", big, f"{there}/bot:1")
        _wait_for_bytes(kitpack.home / "ingest", SIZE // 3, pushing)
        server.kill()
        err = pushing.communicate(timeout=60)[1]
        assert pushing.returncode == 7, err
        assert "Traceback" not in err
    kitpack("verify")
    assert kitpack("list", "-q").out == ""
    with started("--port", port, home=kitpack.folder):
        digest = colleague("push", big, f"{there}/bot:1").out
        assert kitpack("inspect", "-q", "bot:1").out == digest
    assert list((kitpack.home / "ingest").iterdir()) == []
    kitpack("verify")


def test_a_killed_push_leaves_nothing_that_gc_keeps(
    kitpack: Terminal, colleague: Terminal, big: Path, address: str
) -> None:
    pushing = colleague.process("push", big, f"{address}/bot:1")
    _wait_for_bytes(kitpack.home / "ingest", SIZE // 3, pushing)
    pushing.kill()
    pushing.communicate(timeout=60)
    kitpack("verify")
    colleague("push", big, f"{address}/bot:1")
    kitpack("verify", "--local", "bot:1")


def _wait_for_bytes(folder: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Wait until somebody has written so much below a folder, while a process lives."""
    while process.poll() is None:
        stored = 0
        for path in folder.glob("*"):
            try:
                stored += path.stat().st_size
            except FileNotFoundError:
                continue
        if stored >= size:
            return
        try:
            process.wait(timeout=0.001)
        except subprocess.TimeoutExpired:
            continue


# gc beside it


def test_gc_breaks_no_pull(kitpack: Terminal, colleague: Terminal, big: Path, address: str) -> None:
    """Neither one whose tag moves away, nor one that is in the middle of a file that is deleted."""
    kitpack("pack", big, "-t", "bot:1")
    weights = Digest.of_bytes((big / "w.gguf").read_bytes())
    with talking(f"http://{address}") as client, socket.create_connection(_place(address), timeout=60) as slow:
        manifest = client.get("/v2/bot/manifests/1")
        kitpack("remove", "bot:1")
        kitpack("gc")
        for layer in manifest.json["layers"]:
            assert client("HEAD", f"/v2/bot/blobs/{layer['digest']}").status == 200
        slow.sendall(f"GET /v2/bot/blobs/{weights} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received = slow.recv(1000)
        kitpack("gc", "--grace", "0")
        assert client("HEAD", f"/v2/bot/blobs/{weights}").status == 404
        while piece := slow.recv(1 << 20):
            received += piece
    assert Digest.of_bytes(received.partition(b"\r\n\r\n")[2]) == weights
    kitpack("verify")


def test_gc_waits_for_who_pushes(kitpack: Terminal, colleague: Terminal, big: Path, address: str) -> None:
    pushing = colleague.process("push", big, f"{address}/bot:1")
    _wait_for_bytes(kitpack.home / "ingest", SIZE // 3, pushing)
    ended = kitpack.run("gc", "--grace", "0")
    err = pushing.communicate(timeout=60)[1]
    assert pushing.returncode == 0, err
    assert ended.code in (0, 1), "in use, unless the push was over already"
    kitpack("verify", "--local", "bot:1")


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
