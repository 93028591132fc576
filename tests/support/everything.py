"""A folder that has everything a bundle can hold, in Kitfiles for kitpack and for KitOps."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from tests.support.bundles import noise

__all__ = [
    "EXECUTABLE",
    "FILES",
    "KITFILE",
    "KITOPS_KITFILE",
    "KITOPS_RAW_KITFILE",
    "PROMPTS",
    "RAW_FILES",
    "ROLES",
    "expected",
    "tree_of",
    "write_tree",
]

KITFILE = """\
manifestVersion: 1.0.0
package:
  name: everything
  version: 1.10
  description: Of each a little
  license: Apache-2.0
  authors: [Ada, Grace]
model:
  name: tiny
  path: model/tiny-00001-of-00002.gguf
  framework: llama.cpp
  format: gguf
  license: MIT
  parts:
    - path: model/tiny-00002-of-00002.gguf
      name: second
    - path: model/twin.gguf
      type: adapter
    - path: tokenizer
      type: tokenizer
prompts:
  - path: prompts/system.md
    name: system
    description: Sets the tone
  - path: prompts/more
configs:
  - path: config/app.yaml
    description: Differs between environments
datasets:
  - path: data/tests.jsonl
    name: tests
    purpose: test
    description: What must come out
  - path: data/many
    name: many
  - path: data/empty.jsonl
code:
  - path: code
docs:
  - path: docs
    description: To be read
"""
"""For kitpack; it has ``configs``, ``purpose`` and folders, which KitOps' raw layers do not know."""

_SHARED = """\
manifestVersion: 1.0.0
package:
  name: everything
  version: "1.10"
  description: Of each a little
  license: Apache-2.0
  authors: [Ada, Grace]
model:
  name: tiny
  path: model/tiny-00001-of-00002.gguf
  framework: llama.cpp
  format: gguf
  license: MIT
  parts:
    - path: ./model/tiny-00002-of-00002.gguf
      name: second
"""

KITOPS_KITFILE = (
    _SHARED
    + """\
    - path: model/twin.gguf
      type: adapter
    - path: tokenizer/
      type: tokenizer
prompts:
  - path: prompts/system.md
    name: system
    description: Sets the tone
  - path: ./prompts/more
datasets:
  - path: data/tests.jsonl
    name: tests
  - path: data/many
    name: many
  - path: data/empty.jsonl
code:
  - path: code
  - path: config
docs:
  - path: docs
"""
)

KITOPS_RAW_KITFILE = (
    _SHARED
    + """\
    - path: tokenizer/tokenizer.json
      type: tokenizer
prompts:
  - path: prompts/system.md
    name: system
  - path: prompts/more/grüße 😀.txt
datasets:
  - path: data/tests.jsonl
    name: tests
  - path: data/empty.jsonl
code:
  - path: code/run.sh
  - path: config/app.yaml
docs:
  - path: docs/read me.md
"""
)
"""Files alone, and no two with the same bytes: all that KitOps can pack raw."""

_LONG = "long/" + "a rather long name of a folder/" * 5 + "and the file in it, so that a tar header needs its extension"

FILES: dict[str, bytes] = {
    "model/tiny-00001-of-00002.gguf": noise(300_000, 1),
    "model/tiny-00002-of-00002.gguf": noise(100_000, 2),
    "model/twin.gguf": noise(100_000, 2),
    "tokenizer/tokenizer.json": b'{"version": "1.0"}\n',
    "tokenizer/chat_template.jinja": b"{% for message in messages %}{{ message }}{% endfor %}\n",
    "prompts/system.md": b"---\nvariables: [name]\n---\nBe kind to {{ name }}.\n",
    "prompts/more/gr\u00fc\u00dfe \U0001f600.txt": "Gr\u00fc\u00dfe, \U0001f600!\n".encode(),
    "prompts/more/deep/last.prompt": b"No line end",
    "config/app.yaml": b"temperature: 0.2\n",
    "data/tests.jsonl": b'{"ticket": "help"}\n',
    "data/empty.jsonl": b"",
    "code/run.sh": b"#!/bin/sh\necho hello\n",
    "code/lib/__init__.py": b"",
    "code/lib/\u0161\u010d.py": b"print(1)\n",
    "docs/read me.md": b"# Read me\n",
    "docs/Kitfile of old": KITFILE.encode(),
    **{f"data/many/{number:03}.txt": f"row {number}\n".encode() for number in range(200)},
    f"data/many/{_LONG}": b"far down\n",
}

EXECUTABLE = frozenset({"code/run.sh"})

PROMPTS = {path: data.decode() for path, data in FILES.items() if path.startswith("prompts/")}

_RAW_PATHS = (
    "model/tiny-00001-of-00002.gguf",
    "model/tiny-00002-of-00002.gguf",
    "tokenizer/tokenizer.json",
    "prompts/system.md",
    "prompts/more/gr\u00fc\u00dfe \U0001f600.txt",
    "data/tests.jsonl",
    "data/empty.jsonl",
    "code/run.sh",
    "config/app.yaml",
    "docs/read me.md",
)
RAW_FILES = {path: FILES[path] for path in _RAW_PATHS}

ROLES = {
    "model/tiny-00001-of-00002.gguf": "model",
    "model/tiny-00002-of-00002.gguf": "model-part",
    "tokenizer/tokenizer.json": "model-part",
    "prompts/system.md": "prompt",
    "prompts/more/gr\u00fc\u00dfe \U0001f600.txt": "prompt",
    "data/tests.jsonl": "dataset",
    "data/empty.jsonl": "dataset",
    "code/run.sh": "code",
    "docs/read me.md": "doc",
}
"""The roles of some files, whoever packs them."""


def write_tree(folder: Path, files: Mapping[str, bytes] = FILES, kitfile: str = KITFILE) -> Path:
    """Write files and their Kitfile below a folder, and return the folder."""
    for path, data in {**files, "Kitfile": kitfile.encode()}.items():
        location = folder / path
        location.parent.mkdir(parents=True, exist_ok=True)
        location.write_bytes(data)
        location.chmod(0o755 if path in EXECUTABLE else 0o644)
    return folder


def tree_of(folder: Path, *without: str) -> dict[str, tuple[bytes, bool]]:
    """Content and executable bit of every file below a folder, except what kitpack keeps there for itself."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and str(path.relative_to(folder)) not in (".kitpack.json", *without)
    }


def expected(files: Mapping[str, bytes] = FILES) -> dict[str, tuple[bytes, bool]]:
    """What :func:`tree_of` must find."""
    return {path: (data, path in EXECUTABLE) for path, data in files.items()}
