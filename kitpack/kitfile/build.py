"""From plain values to a :class:`~kitpack.kitfile.model.Kitfile`, once the schema has found them good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from kitpack.document.tree import Node, locate
from kitpack.errors import Issue
from kitpack.kitfile.model import (
    MANIFEST_VERSION,
    Code,
    Config,
    Dataset,
    Doc,
    Kitfile,
    Model,
    ModelPart,
    Package,
    Prompt,
)
from kitpack.kitfile.paths import normal_path, path_fault
from kitpack.kitfile.policy import gates_of
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["build", "path_issues"]

_Way: TypeAlias = tuple[str | int, ...]
_LISTS: tuple[_Way, ...] = (("model", "parts"), ("code",), ("datasets",), ("docs",), ("prompts",), ("configs",))


def path_issues(data: Json, root: Node, name: str) -> Iterator[Issue]:
    """What is wrong with the paths, each alone and among each other.

    Args:
        data: The Kitfile as JSON would hold it, maybe with faults.
        root: The same with its places.
        name: The file, as the user would type it.
    """
    seen: dict[str, tuple[int, int]] = {}
    for line, column, text in sorted(_paths(data, root)):
        message, hint = path_fault(text) or ("", "")
        first = seen.setdefault(normal_path(text), (line, column))
        if not message and first != (line, column):
            message, hint = f"the path {text[:80]!r} is listed twice; first on line {first[0]}", "remove one of them"
        if message:
            yield Issue(path=name, line=line, column=column, message=message, hint=hint)


def build(data: Json, root: Node, raw: bytes, name: str) -> Kitfile:
    """Make the values.

    Args:
        data: The Kitfile as JSON would hold it, without faults.
        root: The same with its places.
        raw: The bytes it was read from.
        name: The name of its file.
    """
    package = _at(data, ("package",))
    return Kitfile(
        manifest_version=MANIFEST_VERSION,
        package=Package(
            name=_text(package, "name"),
            version=_text(package, "version"),
            description=_text(package, "description"),
            license=_text(package, "license"),
            authors=_texts(package, "authors"),
            changelog=_text(package, "changelog"),
        ),
        model=_model(data, root),
        prompts=tuple(_prompt(_at(data, way), *_place(root, way)) for way in _ways(data, ("prompts",))),
        configs=tuple(_config(_at(data, way), *_place(root, way)) for way in _ways(data, ("configs",))),
        datasets=tuple(_dataset(_at(data, way), *_place(root, way)) for way in _ways(data, ("datasets",))),
        code=tuple(_code(_at(data, way), *_place(root, way)) for way in _ways(data, ("code",))),
        docs=tuple(_doc(_at(data, way), *_place(root, way)) for way in _ways(data, ("docs",))),
        policy=gates_of(_at(data, ("policy",))),
        raw=raw,
        path=name,
    )


def _paths(data: Json, root: Node) -> Iterator[tuple[int, int, str]]:
    for way in [("model",), *(way for above in _LISTS for way in _ways(data, above))]:
        if text := _text(_at(data, way), "path"):
            yield *_place(root, way), text


def _model(data: Json, root: Node) -> Model | None:
    value = _at(data, ("model",))
    if not value:
        return None
    line, column = _place(root, ("model",))
    return Model(
        name=_text(value, "name"),
        path=_path(value),
        type=_text(value, "type"),
        framework=_text(value, "framework"),
        format=_text(value, "format"),
        version=_text(value, "version"),
        description=_text(value, "description"),
        license=_text(value, "license"),
        parts=tuple(_part(_at(data, way), *_place(root, way)) for way in _ways(data, ("model", "parts"))),
        parameters=value.get("parameters"),
        line=line,
        column=column,
    )


def _part(value: JsonObject, line: int, column: int) -> ModelPart:
    return ModelPart(
        name=_text(value, "name"),
        path=_path(value),
        type=_text(value, "type"),
        license=_text(value, "license"),
        line=line,
        column=column,
    )


def _prompt(value: JsonObject, line: int, column: int) -> Prompt:
    return Prompt(
        path=_path(value),
        name=_text(value, "name"),
        description=_text(value, "description"),
        model=_text(value, "model"),
        parameters=value.get("parameters"),
        variables=value.get("variables"),
        output=value.get("output"),
        untrusted=_texts(value, "untrusted"),
        changelog=_text(value, "changelog"),
        format=_text(value, "format"),
        license=_text(value, "license"),
        line=line,
        column=column,
    )


def _config(value: JsonObject, line: int, column: int) -> Config:
    return Config(
        path=_path(value),
        name=_text(value, "name"),
        description=_text(value, "description"),
        line=line,
        column=column,
    )


def _dataset(value: JsonObject, line: int, column: int) -> Dataset:
    return Dataset(
        path=_path(value),
        name=_text(value, "name"),
        description=_text(value, "description"),
        license=_text(value, "license"),
        purpose=_text(value, "purpose"),
        parameters=value.get("parameters"),
        line=line,
        column=column,
    )


def _code(value: JsonObject, line: int, column: int) -> Code:
    return Code(
        path=_path(value),
        description=_text(value, "description"),
        license=_text(value, "license"),
        line=line,
        column=column,
    )


def _doc(value: JsonObject, line: int, column: int) -> Doc:
    return Doc(path=_path(value), description=_text(value, "description"), line=line, column=column)


def _ways(data: Json, way: _Way) -> list[_Way]:
    """The ways to the members of a list, or none when there is no such list."""
    found = _follow(data, way)
    return [(*way, index) for index in range(len(found))] if isinstance(found, list) else []


def _at(data: Json, way: _Way) -> JsonObject:
    found = _follow(data, way)
    return found if isinstance(found, dict) else {}


def _follow(data: Json, way: Sequence[str | int]) -> Json:
    for step in way:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int):
            data = data[step]
        else:
            return None
    return data


def _place(root: Node, way: _Way) -> tuple[int, int]:
    return locate(root, (*way, "path"))


def _path(value: JsonObject) -> str:
    return normal_path(_text(value, "path"))


def _text(value: JsonObject, key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _texts(value: JsonObject, key: str) -> tuple[str, ...]:
    found = value.get(key)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()
