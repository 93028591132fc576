"""Unpacking and working in the same folder, in any order: the user's files are never lost, failures change nothing."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.installed import RECORD_NAME, Installed, find_drift
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.errors import FileConflictError, UnreachableError
from tests.support.snapshots import snapshot
from tests.support.sources import Watched
from tests.support.versions import NEW, OLD, STAGING, small, through

PATHS = sorted({*small(OLD), *small(NEW), "mine", "prompts/mine.md", "code/swap/mine", "prompts/c/mine", "code"})

_steps = st.one_of(
    st.tuples(st.just("unpack"), st.booleans(), st.sampled_from([(), ("prompts",), ("code", "app.yaml")])),
    st.tuples(st.just("fail"), st.booleans(), st.integers(2, 12)),
    st.tuples(st.just("write"), st.sampled_from(PATHS), st.sampled_from([b"mine", b""])),
    st.tuples(st.just("remove"), st.sampled_from(PATHS), st.none()),
    st.tuples(st.just("link"), st.sampled_from(PATHS), st.none()),
)


def _is_reachable(target: Path, path: str) -> bool:
    """Whether nothing but folders, or nothing at all, stands above a path."""
    above = [target / str(parent) for parent in PurePosixPath(path).parents]
    return not any(one.is_symlink() or one.is_file() for one in above)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _work(target: Path, mine: dict[str, bytes], verb: str, what: str, data: bytes) -> None:
    """Do what users do; ``mine`` is told about it."""
    path = target / what
    if not _is_reachable(target, what):
        return
    if verb == "write" and not path.is_dir() and not path.is_symlink():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        mine[what] = data
    elif verb in ("remove", "link"):
        _remove(path)
        for lost in [one for one in mine if one == what or one.startswith(f"{what}/")]:
            del mine[lost]
        if verb == "link" and path.parent.is_dir():
            path.symlink_to(target.parent)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(_steps, min_size=2, max_size=8))
def test_any_walk(
    tmp_path_factory: pytest.TempPathFactory,
    small_old: Bundle,
    small_new: Bundle,
    steps: list[tuple[str, object, object]],
) -> None:
    root = tmp_path_factory.mktemp("walk")
    target = root / "target"
    target.mkdir()
    mine: dict[str, bytes] = {}
    for verb, what, how in steps:
        if isinstance(what, str):
            _work(target, mine, verb, what, how if isinstance(how, bytes) else b"")
        else:
            _unpack(small_new if what else small_old, target, how)
        for path, data in mine.items():
            assert (target / path).read_bytes() == data, (verb, path)
    assert [path.name for path in root.iterdir()] == ["target"]


def _unpack(bundle: Bundle, target: Path, how: object) -> None:
    before = snapshot(target, STAGING)
    number = how if isinstance(how, int) else 0
    only = how if isinstance(how, tuple) else ()
    watched = Watched(bundle.source, fail_at=number, failure=lambda: UnreachableError("gone"))
    try:
        unpack(through(bundle, watched), target, only=Selection.parse(only), jobs=1)
    except UnreachableError:
        assert snapshot(target, STAGING) == before
    except FileConflictError:
        assert snapshot(target) == before
    else:
        record = Installed.load(target)
        assert record is not None
        found = snapshot(target)
        assert STAGING not in found
        assert {path for path, (kind, _, _) in found.items() if kind == "file"} >= {RECORD_NAME}
        if not only:
            assert find_drift(target, record) == []
            assert all(layer.path in record.files for layer in bundle.layers if layer.verbatim)
