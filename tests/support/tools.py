"""Where the programs are that tests run: those of other people, which may be absent."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["find_tool"]


def find_tool(name: str) -> str | None:
    """The path of a program: on ``PATH``, or where ``go install`` puts it; None when it is absent."""
    built = Path.home() / "go" / "bin" / name
    return shutil.which(name) or (str(built) if built.is_file() else None)
