"""skopeo reads the layouts kitpack writes, and kitpack reads those that skopeo writes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from kitpack.content.store.audit import audit
from kitpack.content.store.collect import collect_garbage
from kitpack.content.store.layout import Layout
from kitpack.content.target import fetch_bytes, fetch_manifest
from tests.support.bundles import noise, push_artifact

SKOPEO = shutil.which("skopeo")

pytestmark = pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed")

FILES = {"weights.bin": noise(2 << 20), "prompt.txt": b"Be brief.", "empty": b""}


def _skopeo(*arguments: str) -> bytes:
    done = subprocess.run([str(SKOPEO), *arguments], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def ours(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "ours")
    subject = push_artifact(layout, FILES, "1.0")
    push_artifact(layout, {"s": b"signature"}, subject=subject)
    push_artifact(layout, {"a": b"another"}, "2.0")
    return layout


@pytest.mark.parametrize("tag", ["1.0", "2.0"])
def test_skopeo_inspects_what_we_wrote(ours: Layout, tag: str) -> None:
    raw = _skopeo("inspect", "--raw", f"oci:{ours.path}:{tag}")
    assert raw == fetch_manifest(ours, ours.resolve(tag)).raw


def test_skopeo_copies_what_we_wrote_and_we_read_its_copy(ours: Layout, tmp_path: Path) -> None:
    _skopeo("copy", f"oci:{ours.path}:1.0", f"oci:{tmp_path / 'theirs'}:copied")
    theirs = Layout(tmp_path / "theirs", create=False)
    assert list(theirs.tags()) == ["copied"]
    descriptor = theirs.resolve("copied")
    assert descriptor == ours.resolve("1.0")
    assert theirs.resolve(str(descriptor.digest)) == descriptor
    layers = fetch_manifest(theirs, descriptor).layers
    assert [fetch_bytes(theirs, layer) for layer in layers] == list(FILES.values())
    assert list(audit(theirs)) == []


def test_both_write_into_one_layout(ours: Layout, tmp_path: Path) -> None:
    """What the other tool wrote is kept by ours, and ours by the other."""
    _skopeo("copy", f"oci:{ours.path}:1.0", f"oci:{tmp_path / 'theirs'}:a")
    theirs = Layout(tmp_path / "theirs")
    new = push_artifact(theirs, {"b": b"ours"}, "b")
    push_artifact(theirs, {"s": b"about b"}, subject=new)
    _skopeo("copy", f"oci:{ours.path}:2.0", f"oci:{tmp_path / 'theirs'}:c")
    assert list(theirs.tags()) == ["a", "b", "c"]
    assert len(list(theirs.referrers(new))) == 1
    collect_garbage(theirs, now=lambda: 2e10)
    assert list(audit(theirs)) == []
    for tag in ("a", "b", "c"):
        assert json.loads(_skopeo("inspect", "--raw", f"oci:{theirs.path}:{tag}"))["schemaVersion"] == 2
