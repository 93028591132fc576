"""Prompts for promptfoo: a chat in JSON for each, and the configuration that lists them.

Spec: https://www.promptfoo.dev/docs/configuration/prompts/
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from kitpack.document.emit import emit
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.exchange.inline import inlined
from kitpack.prompts.exchange.losses import unsaid
from kitpack.prompts.exchange.nunjucks import jinja_to_nunjucks
from kitpack.prompts.exchange.promptfoo import CONFIGS
from kitpack.prompts.exchange.shape import Draft, Exported, distinct, file_stem
from kitpack.prompts.exchange.write import draft_of, jinja_messages
from kitpack.prompts.prompt import Prompt

__all__ = ["export_promptfoo"]

_FOLDER = "prompts"


def export_promptfoo(prompts: Sequence[Prompt]) -> Exported:
    """Write prompts as promptfoo reads them: ``prompts/NAME.json``, and ``promptfooconfig.yaml`` with the list.

    Raises:
        PromptError: When a template has no equal in Nunjucks.
    """
    notes: list[str] = []
    files: list[tuple[str, bytes]] = []
    entries: list[Json] = []
    for prompt, stem in zip(prompts, distinct(file_stem(prompt.name) for prompt in prompts), strict=True):
        draft = draft_of(inlined(prompt, notes))
        path = f"{_FOLDER}/{stem}.json"
        files.append((path, _chat(draft, notes)))
        notes += unsaid(draft, frozenset({"parameters"}), "promptfoo's list")
        entry: JsonObject = {"id": f"file://{path}", "label": prompt.name}
        entries.append({**entry, **({"config": prompt.parameters} if prompt.parameters else {})})
    config = emit({"prompts": entries}).encode()
    return Exported(files=(*files, (CONFIGS[0], config)), notes=tuple(notes))


def _chat(draft: Draft, notes: list[str]) -> bytes:
    messages = []
    for role, text in jinja_messages(draft):
        template, differences = jinja_to_nunjucks(text)
        messages.append({"role": role, "content": template})
        notes += [f"{draft.name}: {one}" for one in differences]
    return (json.dumps(messages, ensure_ascii=False, indent=2) + "\n").encode()
