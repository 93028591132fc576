"""The configs of a bundle: files of settings, parsed where their names say how, found by name, path or stem."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import cast

from kitpack.errors import Issue, NotFoundError, PromptError
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["Configs"]

_ENVIRONMENTS = "environments"


class Configs(Mapping[str, Json]):
    """The configs of a bundle by their paths; each is also found by its file name, with or without its suffix.

    They are parsed when they are first asked for: JSON, YAML and TOML to plain values, everything else is text.

    Args:
        files: The bytes by path.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)
        self._values: dict[str, Json] = {}
        names = [(name, path) for path in files for name in {PurePosixPath(path).name, PurePosixPath(path).stem}]
        count = Counter(name for name, _ in names)
        self._paths = {name: path for name, path in names if count[name] == 1} | {path: path for path in files}

    def __repr__(self) -> str:
        return f"Configs({', '.join(self._files)})"

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __getitem__(self, name: str) -> Json:
        path = self._paths[name]
        if path not in self._values:
            self._values[path] = _parsed(path, self._files[path])
        return self._values[path]

    def raw(self, name: str) -> bytes:
        """The bytes of a config, for whoever wants to read them in another way.

        Raises:
            NotFoundError: When there is none, or several have the name.
        """
        return self._files[self.path_of(name)]

    def path_of(self, name: str) -> str:
        """The path of a config.

        Raises:
            NotFoundError: When there is none, or several have the name.
        """
        if name in self._paths:
            return self._paths[name]
        same = [path for path in self._files if name in (PurePosixPath(path).name, PurePosixPath(path).stem)]
        if same:
            raise NotFoundError(f"{name!r} is the name of {len(same)} configs", hint=f"ask for {' or '.join(same)}")
        from difflib import get_close_matches

        near = get_close_matches(name, self._paths, n=1)
        there = ", ".join(self._files) or "none"
        raise NotFoundError(
            f"the bundle has no config {name!r}", hint=f"did you mean {near[0]!r}?" if near else f"it has {there}"
        )

    def resolved(self, name: str, environment: str = "") -> Json:
        """A config as it holds in one environment: what stands under ``environments`` for it laid over the rest.

        Args:
            name: The config.
            environment: The environment; empty for the config as it is.

        Raises:
            NotFoundError: When there is no such config, or it does not know the environment.
        """
        value = self[self.path_of(name)]
        if not environment:
            return value
        known = value.get(_ENVIRONMENTS) if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(known, dict) or environment not in known:
            there = ", ".join(known) if isinstance(known, dict) else ""
            raise NotFoundError(
                f"{name!r} says nothing about the environment {environment!r}",
                hint=f"it knows {there}" if there else f"list environments under `{_ENVIRONMENTS}:`",
            )
        return _laid_over({key: one for key, one in value.items() if key != _ENVIRONMENTS}, known[environment])


def _laid_over(below: JsonObject, above: Json) -> Json:
    """One value over another: objects are joined member by member, everything else replaces what was there."""
    if above is None:
        return below
    if not isinstance(above, dict):
        return above
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _laid_over(under, value) if isinstance(under, dict) and value is not None else value
    return result


def _parsed(path: str, raw: bytes) -> Json:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in (".yaml", ".yml"):
        return _yaml(path, raw)
    try:
        text = raw.decode("utf-8-sig")
        if suffix == ".json":
            return cast("Json", json.loads(text))
        if suffix == ".toml":
            import tomllib

            return cast("Json", tomllib.loads(text))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and both parsers' errors are ValueErrors
        raise PromptError([Issue(path=path, message=f"it cannot be read: {error}", hint=_hint(path))]) from None
    return text


def _yaml(path: str, raw: bytes) -> Json:
    from kitpack.document.faults import Faults, Kind, decoded
    from kitpack.document.tree import to_json
    from kitpack.document.yamltext import read_yaml

    kind, faults = Kind(noun="a config"), Faults(path)
    text = decoded(raw, kind, faults)
    root = None if text is None else read_yaml(text, kind, faults)
    value = None if root is None else to_json(root, {}, {}, faults.add)
    if faults.issues:
        raise PromptError(faults.ordered())
    return value


def _hint(path: str) -> str:
    return f"`bundle.configs.raw({path!r})` gives its bytes"
