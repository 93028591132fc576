"""The conformance suite of the distribution specification, against ``kitpack serve``.

The program ``oci-conformance`` is built by outsiders from the directory ``conformance`` of the specification.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.serving import started
from tests.support.tools import find_tool

SUITE = find_tool("oci-conformance")


@pytest.mark.skipif(SUITE is None, reason="the program oci-conformance is not installed")
@pytest.mark.parametrize(("version", "least"), [("1.1", 850), ("dev", 970)])
def test_every_check_of_the_specification_passes(tmp_path: Path, version: str, least: int) -> None:
    assert SUITE
    with started("--root", str(tmp_path / "store"), home=tmp_path) as url:
        variables = {
            "OCI_REGISTRY": url.partition("://")[2],
            "OCI_TLS": "disabled",
            "OCI_VERSION": version,
            "OCI_RESULTS_DIR": str(tmp_path),
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
        }
        done = subprocess.run(
            [SUITE], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=120, check=False
        )
    failed = [line for line in done.stdout.splitlines() if re.search(r": (FAIL|Error|Skip)$", line)]
    assert (done.returncode, failed) == (0, [])
    totals = re.search(r'<testsuite [^>]*tests="(\d+)" failures="(\d+)" errors="(\d+)"', _report(tmp_path))
    assert totals
    assert int(totals[1]) >= least
    assert (totals[2], totals[3]) == ("0", "0")


def _report(folder: Path) -> str:
    return (folder / "junit.xml").read_text(encoding="utf-8")
