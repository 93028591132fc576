"""promptfoo's list of prompts: inline texts, files, globs and chats, read from a configuration and written as one.

Only the list of prompts is looked at; providers and tests stay where they are. Prompts that are code are refused by
name: nothing of a configuration is ever run.

Spec: https://www.promptfoo.dev/docs/configuration/prompts/
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from kitpack.document.faults import with_one_break
from kitpack.errors import Issue, KitpackError, PromptError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.exchange.nunjucks import nunjucks_to_jinja
from kitpack.prompts.exchange.read import read_json, read_tree
from kitpack.prompts.exchange.shape import Draft, Imported
from kitpack.prompts.exchange.write import imported
from kitpack.prompts.prompt import ROLES

__all__ = ["CONFIGS", "import_promptfoo"]

CONFIGS = ("promptfooconfig.yaml", "promptfooconfig.yml", "promptfooconfig.json")
"""What a configuration is called, unless somebody says otherwise."""

_CODE = frozenset({".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".go", ".sh"})
_TEXT = frozenset({".txt", ".md", ".j2"})
_DATA = frozenset({".json", ".yaml", ".yml", ".jsonl", ".csv"})
_REMOTE = re.compile(r"(?:exec|langfuse|portkey|helicone|https?|package|python|mlflow):")
_SEPARATOR = re.compile(r"^---[ \t]*\n?", re.MULTILINE)
_SECTION = re.compile(r"^(?:prompts|\"prompts\"|'prompts')[ \t]*:", re.MULTILINE)
_NEXT_KEY = re.compile(r"^[^\s#\-][^\n]*:|^\.\.\.|^---", re.MULTILINE)


@dataclass(slots=True)
class _Reading:
    """A configuration that is being read."""

    files: Mapping[str, bytes]
    config: str
    drafts: list[Draft] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    entered: set[str] = field(default_factory=set)

    def note(self, text: str) -> None:
        self.notes[f"{self.config}: {text}"] = None

    def fault(self, message: str, hint: str = "") -> None:
        self.issues.append(Issue(path=self.config, message=message, hint=hint))


def import_promptfoo(files: Mapping[str, bytes], config: str = "") -> Imported:
    """Read the prompts of a configuration.

    Args:
        files: The files of its folder by path; only those that are named are looked at.
        config: Which of them is the configuration; by default the one with the usual name.

    Raises:
        KitpackError: When there is no configuration, or no prompt in it that can be taken over.
        PromptError: With every fault of the list and of the files it names.
    """
    name = config or next((one for one in CONFIGS if one in files), "")
    if name not in files:
        raise KitpackError(f"there is no {name or CONFIGS[0]}", hint="name the configuration itself")
    work = _Reading(files, name)
    listed = _listed(work)
    for entry in _entries(listed):
        _entry(work, entry)
    if work.issues:
        raise PromptError(work.issues)
    if not work.drafts:
        why = "; ".join(work.notes) or f"{name} lists none"
        raise KitpackError(f"there is no prompt that can be taken over: {why}")
    return imported(work.drafts, tuple(work.notes))


def _listed(work: _Reading) -> Json:
    """What stands under ``prompts``. The rest may use all of YAML's tricks: it is not read."""
    raw = work.files[work.config]
    if work.config.endswith(".json"):
        data = read_json(raw, work.config)
        return data.get("prompts") if isinstance(data, dict) else None
    text = with_one_break(raw.decode("utf-8-sig", "replace"))
    if start := _SECTION.search(text):
        end = _NEXT_KEY.search(text, start.end())
        above = "\n" * text.count("\n", 0, start.start())  # so that lines keep their numbers
        text = above + text[start.start() : end.start() if end else len(text)]
    data = read_tree(text, work.config)
    return data.get("prompts") if isinstance(data, dict) else None


def _entries(listed: Json) -> Iterator[Json]:
    """The prompts one by one: a single one, a list of them, or a mapping from them to their labels."""
    if isinstance(listed, list):
        yield from listed
    elif isinstance(listed, dict):
        yield from ({"id": key, "label": label} for key, label in listed.items())
    elif listed is not None:
        yield listed


def _entry(work: _Reading, entry: Json) -> None:
    if isinstance(entry, str):
        _source(work, entry, "", {})
        return
    if not isinstance(entry, dict):
        work.fault(f"{str(entry)[:80]!r} is no prompt", "write its text, or file://path")
        return
    label, config = entry.get("label"), entry.get("config")
    name = label if isinstance(label, str) else ""
    keys: JsonObject = {"parameters": config} if isinstance(config, dict) else {}
    if "function" in entry:
        work.note(f"{name or 'a prompt'} is a function, and left out: code is never run")
    elif isinstance(raw := entry.get("raw", entry.get("prompt")), str):
        said = entry.get("id")
        _text(work, raw, name or (said if isinstance(said, str) else ""), keys)
    elif isinstance(source := entry.get("id", entry.get("file")), str):
        _source(work, source, name, keys)
    else:
        work.fault(f"the prompt {name or sorted(entry)!r} has no text", "give it raw: or id: file://path")
    for key in sorted(entry.keys() - {"id", "file", "label", "raw", "prompt", "config", "function"}):
        work.note(f"{name or 'a prompt'}: {key} has no place here, and is left out")


def _source(work: _Reading, source: str, name: str, keys: JsonObject) -> None:
    """A prompt that is its own text, or the path of one."""
    if _REMOTE.match(source):
        work.note(f"{source} is fetched or made by a program, and left out")
        return
    path = _path_of(source)
    if path is None:
        _text(work, source, name, keys)
        return
    path = posixpath.normpath(posixpath.join(posixpath.dirname(work.config), path))
    found = sorted(one for one in work.files if _glob(path).fullmatch(one)) if re.search(r"[*?\[{]", path) else [path]
    if not found:
        work.fault(f"no file is like {source}", "correct the pattern")
    for one in found:
        _file(work, one, name, keys)


def _path_of(source: str) -> str | None:
    """The path that a text is, if it is one: with a scheme, or with the look of a file and no blank in it."""
    path = source.removeprefix("file://")
    bare = re.sub(r"(\.\w+):\w+\Z", r"\1", path)  # code may be followed by the name of a function
    looks = PurePosixPath(bare).suffix in _CODE | _TEXT | _DATA or "*" in bare
    if path != source or (looks and not re.search(r"[\s{}]", bare)):
        return bare
    return None


def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*|\?|\{[^{}]*\})", pattern)
    meanings = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(
        f"(?:{'|'.join(map(re.escape, part[1:-1].split(',')))})" if part.startswith("{") and part.endswith("}")
        else meanings.get(part, re.escape(part)) for part in parts
    ))  # fmt: skip


def _file(work: _Reading, path: str, name: str, keys: JsonObject) -> None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _CODE:
        work.note(f"{path} is code, and left out: code is never run")
        return
    if path not in work.files:
        work.fault(f"there is no file {path} in its folder", "correct the path, or copy the file there")
        return
    try:
        text = with_one_break(work.files[path].decode("utf-8-sig"))
    except UnicodeDecodeError:
        work.fault(f"{path} is not UTF-8", "save it as UTF-8")
        return
    label = name or PurePosixPath(path).stem
    if suffix == ".csv":
        _csv(work, path, text, label, keys)
    elif suffix in _DATA:
        _data(work, path, text, label, keys)
    elif suffix == ".txt":
        parts = [part for part in _SEPARATOR.split(text) if part.strip()]
        for number, part in enumerate(parts, 1):
            _text(work, part, label if len(parts) == 1 else f"{label}-{number}", keys)
    else:
        _text(work, text, label, keys)


def _csv(work: _Reading, path: str, text: str, label: str, keys: JsonObject) -> None:
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 1):
        prompt = row.get("prompt")
        if prompt:
            _text(work, prompt, row.get("label") or f"{label}-{number}", keys)
        else:
            work.note(f"row {number} of {path} has nothing in the column prompt, and is left out")


def _data(work: _Reading, path: str, text: str, label: str, keys: JsonObject) -> None:
    if path.endswith(".jsonl"):
        lines = [line for line in text.splitlines() if line.strip()]
        for number, line in enumerate(lines, 1):
            _chat(work, read_json(line.encode(), f"{path}:{number}"), path, f"{label}-{number}", keys)
        return
    data = read_json(text.encode(), path) if path.endswith(".json") else read_tree(text, path)
    if isinstance(data, list) and not any(isinstance(one, dict) and "role" in one for one in data):
        if path in work.entered:
            work.fault(f"{path} lists itself", "remove it from its own list")
            return
        work.entered.add(path)
        for entry in data:
            _entry(work, entry)
        return
    _chat(work, data, path, label, keys)


def _chat(work: _Reading, data: Json, path: str, label: str, keys: JsonObject) -> None:
    messages = data.get("messages") if isinstance(data, dict) else data
    if isinstance(data, dict) and len(data) > 1 and messages is not None:
        left = ", ".join(sorted(data.keys() - {"messages"}))
        work.note(f"{path}: {left} beside the messages have no place here, and are left out")
    found = [pair for one in messages if (pair := _message(one))] if isinstance(messages, list) else []
    if not isinstance(messages, list) or not messages or len(found) < len(messages):
        work.fault(f"{path} is no chat of messages with role and text", f"roles: {', '.join(ROLES)}")
        return
    _add(work, label, found, keys)


def _message(value: Json) -> tuple[str, str] | None:
    role, content = (value.get("role"), value.get("content")) if isinstance(value, dict) else (None, None)
    if isinstance(content, list):
        texts = [one.get("text") if isinstance(one, dict) and one.get("type") == "text" else None for one in content]
        content = texts[0] if len(texts) == 1 else None
    return (role, content) if isinstance(role, str) and role in ROLES and isinstance(content, str) else None


def _text(work: _Reading, text: str, name: str, keys: JsonObject) -> None:
    """A prompt that is a text: what the user says, unless it is a chat written out as JSON."""
    label = name or f"prompt-{len(work.drafts) + 1}"
    if text.lstrip().startswith("["):
        try:
            data: Json = json.loads(text)
        except ValueError:
            data = None
        if isinstance(data, list) and data and all(map(_message, data)):
            _chat(work, data, label, label, keys)
            return
    if not text.strip():
        work.note(f"{label} is empty, and left out")
        return
    _add(work, label, [("user", text)], keys)


def _add(work: _Reading, name: str, messages: list[tuple[str, str]], keys: JsonObject) -> None:
    translated = []
    for role, text in messages:
        jinja, notes = nunjucks_to_jinja(text)
        translated.append((role, jinja))
        for note in notes:
            work.note(f"{name}: {note}")
    work.drafts.append(Draft(name=name, messages=tuple(translated), keys=keys))
