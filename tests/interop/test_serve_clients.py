"""Other people's clients at ``kitpack serve``, before a store that kitpack itself uses at the same time.

What kitpack packs into the store, they read over HTTP without a push; what they write is in the store at once. That
bundles arrive whole by way of a registry, whichever, is shown by the other modules here, of which ours is one.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import kitpack
from kitpack.content.store.audit import audit
from kitpack.content.store.layout import Layout
from kitpack.errors import NotFoundError
from kitpack.oci.digest import Digest
from tests.support.bundles import noise
from tests.support.everything import tree_of
from tests.support.packing import write_files
from tests.support.peers import Peers
from tests.support.serving import started

FILES = {"model.gguf": b"GGUF" + noise(100_000, 3), "prompts/hello.txt": b"Hello!\n", "docs/notes.md": b"# Notes\n"}
KITFILE = """\
manifestVersion: 1.0.0
package: {{name: "{name}"}}
model: {{path: model.gguf}}
prompts: [{{path: prompts}}]
docs: [{{path: docs}}]
"""
REPORT = "application/vnd.example.report"


@dataclass(frozen=True)
class Desk:
    """A person whose local store is served, and where."""

    peers: Peers
    address: str
    folder: Path

    @property
    def store(self) -> Layout:
        """The store, as a process sees it that knows nothing of the server."""
        return Layout(self.peers.settings.home, create=False)

    def pack(self, name: str) -> str:
        """Pack the files under a name, push nothing, and return where they can be had; no other name is this bundle."""
        (self.folder / "Kitfile").write_text(KITFILE.format(name=name))
        self.peers.kitpack("pack", self.folder, "-t", name, "--no-lint")
        return f"{self.address}/{name}"

    def digest(self, name: str) -> str:
        """What a name stands for in the store."""
        return str(self.store.resolve(name).digest)

    def unpacked(self, name: str, folder: Path) -> dict[str, bytes]:
        """The files of what is in the store under a name."""
        self.peers.kitpack("unpack", "--local", name, "-o", folder)
        return contents(folder)

    def forgot(self, name: str) -> bool:
        """Whether the store has nothing under a name."""
        try:
            self.store.resolve(name)
        except NotFoundError:
            return True
        return False

    def referrers(self, name: str) -> list[str]:
        """The kinds of what refers to a name."""
        found = self.store.referrers(self.store.resolve(name))
        return sorted(one.artifact_type for one in found)


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder that an author wrote, whoever unpacked them."""
    return {path: data for path, (data, _) in tree_of(folder).items() if path != "Kitfile"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    peers = Peers(tmp_path_factory.mktemp("machine"))
    folder = write_files(tmp_path_factory.mktemp("bot"), FILES)
    with started("--root", str(peers.settings.home), home=peers.folder) as url:
        yield Desk(peers, url.removeprefix("http://"), folder)
    assert list(audit(Layout(peers.settings.home))) == []


# oras


def test_oras_reads(desk: Desk, tmp_path: Path) -> None:
    desk.peers.oras("pull", "--plain-http", "-o", tmp_path / "out", desk.pack("oras/packed:1"))
    assert contents(tmp_path / "out") == FILES
    assert desk.peers.oras("repo", "tags", "--plain-http", f"{desk.address}/oras/packed").split() == ["1"]
    assert "oras/packed" in desk.peers.oras("repo", "ls", "--plain-http", desk.address).split()


def test_oras_writes(desk: Desk, tmp_path: Path) -> None:
    files = sorted(FILES)
    desk.peers.oras("push", "--plain-http", f"{desk.address}/oras/pushed:1", *files, cwd=desk.folder)
    assert desk.peers.inspect("oras/pushed:1")["digest"] == desk.digest("oras/pushed:1")
    assert desk.unpacked("oras/pushed:1", tmp_path / "out") == FILES


def test_oras_attaches_discovers_and_copies(desk: Desk, tmp_path: Path) -> None:
    packed, there = desk.pack("oras/subject:1"), f"{desk.address}/oras/copied:1"
    report = tmp_path / "report.txt"
    report.write_text("good\n")
    attach = ("attach", "--plain-http", "--artifact-type", REPORT, packed, "report.txt:text/plain")
    desk.peers.oras(*attach, cwd=tmp_path)
    assert REPORT in desk.peers.oras("discover", "--plain-http", packed)
    assert desk.referrers("oras/subject:1") == [REPORT]
    desk.peers.oras("cp", "-r", "--from-plain-http", "--to-plain-http", packed, there)
    assert desk.digest("oras/copied:1") == desk.digest("oras/subject:1")
    assert REPORT in desk.peers.oras("discover", "--plain-http", there)
    layout = f"{tmp_path / 'layout'}:1"
    desk.peers.oras("cp", "-r", "--from-plain-http", "--to-oci-layout", there, layout)
    assert REPORT in desk.peers.oras("discover", "--oci-layout", layout)
    assert desk.digest("oras/subject:1") in desk.peers.oras("resolve", "--oci-layout", layout)


def test_oras_deletes(desk: Desk) -> None:
    desk.peers.oras("push", "--plain-http", f"{desk.address}/oras/gone:1", "model.gguf", cwd=desk.folder)
    weights = f"{desk.address}/oras/gone@{Digest.of_bytes(FILES['model.gguf'])}"
    assert "in use" in desk.peers.refuses("oras", "blob", "delete", "-f", "--plain-http", weights)
    desk.peers.oras("manifest", "delete", "-f", "--plain-http", f"{desk.address}/oras/gone:1")
    assert desk.forgot("oras/gone:1")
    (desk.peers.folder / "alone").write_bytes(noise(100, 8))
    blob = f"{desk.address}/oras/gone@{Digest.of_bytes(noise(100, 8))}"
    desk.peers.oras("blob", "push", "--plain-http", f"{desk.address}/oras/gone", "alone")
    desk.peers.oras("blob", "delete", "-f", "--plain-http", blob)
    assert desk.peers.refuses("oras", "blob", "fetch", "--plain-http", "-o", "-", blob)


# skopeo


def test_skopeo(desk: Desk, tmp_path: Path) -> None:
    packed, sent = desk.pack("skopeo/packed:1"), f"{desk.address}/skopeo/sent:1"
    layout = f"oci:{tmp_path / 'layout'}:1"
    desk.peers.skopeo("copy", "--src-tls-verify=false", f"docker://{packed}", layout)
    assert {one.path for one in kitpack.inspect(layout, settings=desk.peers.settings).layers} >= FILES.keys()
    desk.peers.skopeo("copy", "--dest-tls-verify=false", layout, f"docker://{sent}")
    assert desk.digest("skopeo/sent:1") == desk.digest("skopeo/packed:1")
    assert desk.unpacked("skopeo/sent:1", tmp_path / "out") == FILES
    listed = json.loads(desk.peers.skopeo("list-tags", "--tls-verify=false", f"docker://{desk.address}/skopeo/sent"))
    assert listed["Tags"] == ["1"]
    raw = desk.peers.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{sent}")
    assert str(Digest.of_bytes(raw.encode())) == desk.digest("skopeo/sent:1")
    desk.peers.skopeo("delete", "--tls-verify=false", f"docker://{sent}")
    assert desk.forgot("skopeo/sent:1")
    assert not desk.forgot("skopeo/packed:1")


# crane


def test_crane_reads(desk: Desk, tmp_path: Path) -> None:
    packed, sent = desk.pack("crane/packed:1"), f"{desk.address}/crane/sent:1"
    assert desk.peers.run("crane", "ls", packed.rpartition(":")[0]).split() == ["1"]
    assert "crane/packed" in desk.peers.run("crane", "catalog", desk.address).split()
    assert desk.peers.run("crane", "digest", packed).strip() == desk.digest("crane/packed:1")
    desk.peers.run("crane", "pull", "--format", "oci", packed, tmp_path / "layout")
    pulled = f"oci:{tmp_path / 'layout'}@{desk.digest('crane/packed:1')}"
    kitpack.unpack(pulled, tmp_path / "out", settings=desk.peers.settings)
    assert contents(tmp_path / "out") == FILES
    desk.peers.run("crane", "copy", packed, sent)
    assert desk.digest("crane/sent:1") == desk.digest("crane/packed:1")
    desk.peers.run("crane", "tag", sent, "2")
    assert desk.digest("crane/sent:2") == desk.digest("crane/packed:1")
    desk.peers.run("crane", "delete", f"{desk.address}/crane/sent@{desk.digest('crane/sent:1')}")
    assert desk.forgot("crane/sent:1")
    assert desk.forgot("crane/sent:2")


def test_crane_writes_images(desk: Desk, tmp_path: Path) -> None:
    """They are no bundles, and still are kept, proven, and given back."""
    image, again = (f"{desk.address}/crane/{name}:1" for name in ("appended", "pushed"))
    with tarfile.open(tmp_path / "layer.tar", "w") as archive:
        archive.add(desk.folder / "docs", "docs")
    desk.peers.run("crane", "append", "--oci-empty-base", "-f", tmp_path / "layer.tar", "-t", image)
    assert desk.peers.run("crane", "validate", "--remote", image).startswith("PASS")
    desk.peers.run("crane", "pull", image, tmp_path / "image.tar")
    desk.peers.run("crane", "push", tmp_path / "image.tar", again)
    assert desk.peers.run("crane", "validate", "--remote", again).startswith("PASS")
    for name in ("crane/appended:1", "crane/pushed:1"):
        assert desk.peers.run("crane", "digest", f"{desk.address}/{name}").strip() == desk.digest(name)
        desk.peers.kitpack("verify", "--local", name)


# kit and modctl


def test_kit_reads(desk: Desk, tmp_path: Path) -> None:
    packed = desk.pack("kit/packed:1")
    desk.peers.kit("pull", "--plain-http", packed)
    desk.peers.kit("unpack", packed, "-d", tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


def test_kit_writes(desk: Desk, tmp_path: Path) -> None:
    pushed = f"{desk.address}/kit/pushed:1"
    (desk.folder / "Kitfile").write_text(KITFILE.format(name="by-kit"))
    desk.peers.kit("pack", desk.folder, "-t", pushed)
    desk.peers.kit("push", "--plain-http", pushed)
    assert desk.peers.inspect("kit/pushed:1")["digest"] == desk.digest("kit/pushed:1")
    assert desk.unpacked("kit/pushed:1", tmp_path / "out") == FILES


def test_modctl_reads(desk: Desk, tmp_path: Path) -> None:
    packed = desk.pack("modctl/packed:1")
    desk.peers.modctl("pull", "--plain-http", packed)
    desk.peers.modctl("extract", packed, "--output", tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


def test_modctl_writes(desk: Desk, tmp_path: Path) -> None:
    pushed, folder = f"{desk.address}/modctl/pushed:1", write_files(tmp_path / "model", FILES)
    (folder / "Modelfile").write_text("NAME bot\nMODEL model.gguf\nDOC docs/*.md\nDOC prompts/*.txt\n")
    desk.peers.modctl("build", "-f", folder / "Modelfile", "-t", pushed, folder)
    desk.peers.modctl("push", "--plain-http", pushed)
    assert desk.unpacked("modctl/pushed:1", tmp_path / "out") == FILES


# cosign, with keys and without any service


SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"
CLAIM = "https://example.org/tested/v1"


def test_cosign(desk: Desk, tmp_path: Path) -> None:
    cosign = _Cosign(desk.peers, tmp_path)
    name = f"{desk.pack('cosign/packed:1').rpartition(':')[0]}@{desk.digest('cosign/packed:1')}"
    assert "no signatures found" in cosign.refuses("verify", "ours", name)
    cosign.run("sign", "ours", name)
    assert name.rpartition("@")[2] in cosign.run("verify", "ours", name)
    assert cosign.refuses("verify", "theirs", name)
    (tmp_path / "claim.json").write_text('{"passed": 12}')
    cosign.run("attest", "ours", "--type", CLAIM, "--predicate", tmp_path / "claim.json", name)
    cosign.run("verify-attestation", "ours", "--type", CLAIM, name)
    assert cosign.refuses("verify-attestation", "theirs", "--type", CLAIM, name)
    assert desk.referrers("cosign/packed:1") == [SIGNATURE, SIGNATURE]


def test_what_cosign_signed_stays_signed_where_kitpack_copies_it(desk: Desk, tmp_path: Path) -> None:
    cosign = _Cosign(desk.peers, tmp_path)
    packed = desk.pack("cosign/signed:1")
    digest = desk.digest("cosign/signed:1")
    cosign.run("sign", "ours", f"{packed.rpartition(':')[0]}@{digest}")
    desk.peers.kitpack("copy", "--referrers", packed, f"oci:{tmp_path / 'usb'}:1")
    desk.peers.kitpack("copy", "--referrers", f"oci:{tmp_path / 'usb'}:1", f"{desk.address}/cosign/moved:1")
    cosign.run("verify", "ours", f"{desk.address}/cosign/moved@{digest}")
    desk.peers.kitpack("gc", "--grace", "0")
    cosign.run("verify", "ours", f"{desk.address}/cosign/signed@{digest}")


class _Cosign:
    """cosign with two pairs of keys, and told that no service on the internet has a say."""

    def __init__(self, peers: Peers, folder: Path) -> None:
        self._peers, self._folder = peers, folder
        self._peers.run("cosign", "signing-config", "create", "--out", folder / "signing.json")
        for name in ("ours", "theirs"):
            self._peers.run("cosign", "generate-key-pair", "--output-key-prefix", name, cwd=folder)

    def run(self, command: str, key: str, *arguments: str | Path) -> str:
        return self._peers.run("cosign", *self._words(command, key), *arguments)

    def refuses(self, command: str, key: str, *arguments: str | Path) -> str:
        return self._peers.refuses("cosign", *self._words(command, key), *arguments)

    def _words(self, command: str, key: str) -> list[str | Path]:
        if command.startswith("verify"):
            trust: list[str | Path] = ["--insecure-ignore-tlog", "--key", self._folder / f"{key}.pub"]
        else:
            trust = ["--yes", "--signing-config", self._folder / "signing.json", "--key", self._folder / f"{key}.key"]
        return [command, "--allow-http-registry", *trust]
