"""A small bundle as an application loads it: two prompts, a config with environments, weights in two parts."""

from __future__ import annotations

from pathlib import Path

from tests.support.bundles import noise
from tests.support.packing import write_files

__all__ = ["TRIAGE", "WEIGHTS", "write_bot"]

WEIGHTS = b"GGUF" + noise(200_000, 7)
TOKENIZER = b'{"model": {}}'
TRIAGE = """\
---
name: triage
variables:
  ticket: {type: string}
  secret: {type: string}
untrusted: [ticket]
sensitive: [secret]
parameters: {temperature: 0.0, max_tokens: 50}
model: bundle
---
system:
You sort tickets. {% include "_rules.md" %}
user:
{{ ticket }} {{ secret }}
"""
KITFILE = """\
model:
  path: model/bot.gguf
  parts: [{path: model/tokenizer.json, type: tokenizer}]
prompts:
  - path: prompts
  - path: prompts/hello.txt
    description: Says hello
configs: [{path: config}]
"""
CONFIG = """\
log_level: warning
reply: {max_tokens: 100, temperature: 0.5}
environments:
  staging: {log_level: debug}
  production: {reply: {max_tokens: 200}}
"""


def write_bot(folder: Path, *, greeting: str = "Hello {{ no_variable }}\n", version: str = "1.0") -> Path:
    """Write the folder of the bundle; a greeting more is another version with the same weights."""
    files: dict[str, bytes | str] = {
        "model/bot.gguf": WEIGHTS,
        "model/tokenizer.json": TOKENIZER,
        "prompts/triage.md": TRIAGE,
        "prompts/_rules.md": "Be brief.\n",
        "prompts/hello.txt": greeting,
        "config/prompt_config.yaml": CONFIG,
        "config/limits.json": '{"requests": 3}',
        "config/notes.txt": "as it is\n",
    }
    write_files(folder, files)
    head = f"manifestVersion: 1.0.0\npackage: {{name: bot, version: '{version}'}}\n"
    (folder / "Kitfile").write_text(head + KITFILE)
    return folder
