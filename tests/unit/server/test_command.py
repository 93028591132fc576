"""``kitpack serve``: what it prints, what it refuses, and how it ends, even when it is killed."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import bcrypt
import pytest

from kitpack.content.store.audit import audit
from kitpack.content.store.layout import Layout
from kitpack.oci.digest import Digest
from tests.support.bundles import noise, push_artifact
from tests.support.cli import Terminal
from tests.support.distribution import Client, talking
from tests.support.serving import peak_memory, serve_process, started


@pytest.fixture
def kitpack(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def _served(kitpack: Terminal, *arguments: object, **options: object) -> tuple[int, str, str]:
    """Start it, end it with a signal as soon as it is ready, and return the code and what it printed."""
    with kitpack.process("serve", "--port", "0", *arguments, **options) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    return process.returncode, line + out, err


def test_it_says_where_it_is_and_what_to_type(kitpack: Terminal) -> None:
    code, out, err = _served(kitpack)
    assert code == 0
    assert out.startswith("http://127.0.0.1:")
    assert str(kitpack.home) in err
    assert "kitpack push DIR 127.0.0.1:" in err
    push_artifact(Layout(kitpack.home), {"a": b"a"}, "127.0.0.1:1/bot:1")
    assert "kitpack push DIR 127.0.0.1:" in _served(kitpack)[2], "nobody can ask for that name"
    push_artifact(Layout(kitpack.home), {"a": b"a"}, "bot:1")
    _, out, err = _served(kitpack)
    assert f"kitpack inspect {out.strip().removeprefix('http://')}/bot:1" in err
    assert _served(kitpack, "--quiet")[2] == ""


def test_for_machines(kitpack: Terminal, tmp_path: Path) -> None:
    push_artifact(Layout(tmp_path / "bundles"), {"a": b"a"}, "1")
    code, out, err = _served(kitpack, "--json", "--read-only", "--root", tmp_path / "bundles")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found == {"url": found["url"], "root": str(tmp_path / "bundles"), "readOnly": True}
    assert len(out.splitlines()) == 1


def test_a_port_that_is_taken(kitpack: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = kitpack("serve", "--port", port, code=1)
    assert f"port {port} of 127.0.0.1 is taken" in done.err
    assert "--port" in done.err


def test_an_address_that_is_not_here(kitpack: Terminal) -> None:
    push_artifact(Layout(kitpack.home), {"a": b"a"}, "bot:1")
    assert "192.0.2.1" in kitpack("serve", "--port", "0", "--host", "192.0.2.1", "--read-only", code=1).err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "registry.example", ""])
def test_nobody_else_may_change_the_store_unasked(kitpack: Terminal, host: str) -> None:
    done = kitpack("serve", "--port", "0", "--host", host, code=2)
    assert "--htpasswd" in done.err
    assert not kitpack.home.exists()


def test_warnings_for_the_careless(kitpack: Terminal, tmp_path: Path) -> None:
    push_artifact(Layout(kitpack.home), {"a": b"a"}, "bot:1")
    users = tmp_path / "users"
    users.write_text("ann:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode())
    code, out, err = _served(kitpack, "--host", "0.0.0.0", "--htpasswd", users)
    assert (code, out.startswith("http://0.0.0.0:")) == (0, True)
    assert "clear text" in err
    assert "can read everything" in _served(kitpack, "--host", "0.0.0.0", "--read-only")[2]


def test_blobs_for_other_machines_are_sent_by_the_kernel(kitpack: Terminal) -> None:
    address, data = _address_of_this_machine(), noise(20 << 20)
    push_artifact(Layout(kitpack.home), {"a": data}, "bot:1")
    with started("--host", "0.0.0.0", "--read-only", home=kitpack.folder) as url:
        path = f"/v2/bot/blobs/{Digest.of_bytes(data)}"
        with talking(url.replace("0.0.0.0", address)) as client:
            assert client.get(path).body == data
            for first, last in [(0, 0), (1, 9 << 20), (len(data) - 1, len(data) - 1)]:
                assert client.get(path, Range=f"bytes={first}-{last}").body == data[first : last + 1]
            assert client("HEAD", path).headers["Content-Length"] == str(len(data))


def _address_of_this_machine() -> str:
    """An address other than loopback, which no packet has to be sent to find."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        address: str = probe.getsockname()[0]
    return address


@pytest.mark.parametrize("flag", ["--tls-cert", "--tls-key"])
def test_half_of_what_tls_needs(kitpack: Terminal, tmp_path: Path, flag: str) -> None:
    (tmp_path / "pem").write_text("x")
    assert "--tls-cert PEM --tls-key PEM" in kitpack("serve", flag, tmp_path / "pem", code=2).err


def test_a_name_of_a_host_that_is_this_machine(kitpack: Terminal) -> None:
    assert _served(kitpack, "--host", "localhost")[1].startswith("http://localhost:")


def test_without_its_libraries_it_says_what_to_install(kitpack: Terminal) -> None:
    code = (
        "import sys, importlib.abc\n"
        "class Gone(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'aiohttp': raise ModuleNotFoundError(name)\n"
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'aiohttp' else found(name, package)\n"
        "from kitpack.cli import main\n"
        "main(['serve'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=kitpack.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "aiohttp" in done.stderr
    assert "pip install 'kitpack[serve]'" in done.stderr


def _slow_patch(url: str, client: Client) -> tuple[socket.socket, str]:
    """A request that is half sent."""
    session, host = client.begin("a"), urlsplit(url)
    sending = socket.create_connection((host.hostname, host.port), timeout=30)
    sending.sendall(
        f"PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    assert sending.recv(1000).startswith(b"HTTP/1.1 100")
    return sending, session


def test_running_requests_may_finish(tmp_path: Path) -> None:
    with serve_process(home=tmp_path) as (process, url), talking(url) as client:
        sending, _ = _slow_patch(url, client)
        with sending:
            process.send_signal(signal.SIGTERM)
            while True:  # until nobody is let in any more
                try:
                    socket.create_connection(sending.getpeername(), timeout=5).close()
                except OSError:
                    break
            sending.sendall(b"0123456789")
            assert sending.recv(1000).startswith(b"HTTP/1.1 202")
        process.wait(timeout=20)
    assert process.returncode == 0
    assert list((tmp_path / "store" / "ingest").iterdir()) == []


def test_interrupting_twice_ends_it_at_once(tmp_path: Path) -> None:
    with serve_process(home=tmp_path) as (process, url), talking(url) as client:
        sending, _ = _slow_patch(url, client)
        with sending:
            process.send_signal(signal.SIGINT)
            while True:
                try:
                    socket.create_connection(sending.getpeername(), timeout=5).close()
                except OSError:
                    break
            process.send_signal(signal.SIGINT)
            process.wait(timeout=4)
    assert process.returncode == 130
    with started(home=tmp_path):
        assert list((tmp_path / "store" / "ingest").iterdir()) == []


def test_interrupting_once(tmp_path: Path) -> None:
    with serve_process(home=tmp_path) as (process, _):
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in (tmp_path / "serve.err").read_text()


def test_killed_at_any_moment_the_store_is_clean(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    for life in range(6):
        with serve_process(home=tmp_path) as (process, url):
            pushers = [threading.Thread(target=_push_until_dead, args=(url, life, number)) for number in range(4)]
            for pusher in pushers:
                pusher.start()
            with talking(url) as client:
                while client.get(f"/v2/life{life}/tags/list").status != 200:
                    pass
                for _ in range(life * 7):
                    client.get("/v2/_catalog")
            process.kill()
            for pusher in pushers:
                pusher.join()
        assert list(audit(layout)) == []
        assert f"life{life}:" in " ".join(layout.tags())
    with started(home=tmp_path):
        assert [path for path in (layout.path / "ingest").iterdir() if path.suffix == ".upload"] == []


def _push_until_dead(url: str, life: int, number: int) -> None:
    try:
        with talking(url) as client:
            for turn in range(1000):
                text = noise(60_000, life * 10_000 + number * 1000 + turn)
                client.push_bundle(f"life{life}", f"v{number}.{turn % 3}", text=text)
    except (OSError, http.client.HTTPException):
        pass


def test_a_full_disk(tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    kitpack = Terminal(tmp_path)
    with kitpack.process("serve", "--port", "0", "--json", preexec_fn=limited) as process:
        assert process.stdout
        with talking(json.loads(process.stdout.readline())["url"]) as client:
            data = noise(3 << 20, 1)
            session = client.begin("a")
            answer = client("PUT", f"{session}?digest={Digest.of_bytes(data)}", data)
            assert (answer.status, answer.codes) == (507, ["UNKNOWN"])
            assert client.get(session).status == 404
            assert list((kitpack.home / "ingest").iterdir()) == []
            client.push_bundle("a", "v1")
            assert client.has("a", "v1")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much memory a process has used")
def test_a_large_upload_and_download_take_no_memory(tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    hasher = Digest.of_bytes(b"").hasher()
    for _ in range(256):
        hasher.update(block)
    digest = f"sha256:{hasher.hexdigest()}"
    with serve_process(home=tmp_path) as (process, url), talking(url) as client:
        client.push_bundle("a", "v1")
        before = peak_memory(process.pid)
        path = f"{client.begin('a')}?digest={digest}"
        assert client("PUT", path, _repeat(block, 256), Content_Length=str(256 << 20)).status == 201
        client.connection.request("GET", f"/v2/a/blobs/{digest}")
        answer = client.connection.getresponse()
        assert answer.status == 200
        while answer.read(1 << 20):
            pass
        assert peak_memory(process.pid) - before < 24 << 20


def _repeat(block: bytes, times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield block
