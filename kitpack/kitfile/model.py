"""The Kitfile as values: what goes into a bundle, and what the author says about it.

It is KitOps' Kitfile with a few more words; see ``kitfile.schema.json`` for what each of them means.

Spec: https://github.com/kitops-ml/kitops/blob/main/pkg/artifact/kitfile.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from kitpack.oci.jsontext import Json

__all__ = [
    "KITFILE_NAMES",
    "MANIFEST_VERSION",
    "ROLES",
    "Code",
    "Config",
    "Dataset",
    "Doc",
    "Entry",
    "Gates",
    "Item",
    "Kitfile",
    "Model",
    "ModelPart",
    "Package",
    "Prompt",
]

MANIFEST_VERSION = "1.0.0"
"""The one version of the format; a leading ``v`` is accepted."""

KITFILE_NAMES = ("Kitfile", "kitfile", ".kitfile", "kitfile.yaml", "kitfile.yml")
"""The names under which a Kitfile is found in a folder."""

ROLES = ("model", "model-part", "code", "dataset", "doc", "prompt", "config")
"""What an entry can be, in the order in which entries are packed: KitOps' order, then what only kitpack knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What the bundle is as a whole. Text that was not given is empty.

    Attributes:
        name: What it is called.
        version: Its version, exactly as written: ``1.10`` stays ``1.10``.
        description: What it is for.
        license: The licence of the whole, usually an SPDX identifier.
        authors: Who made it.
        changelog: Why this version differs from the one before.
    """

    name: str = ""
    version: str = ""
    description: str = ""
    license: str = ""
    authors: tuple[str, ...] = ()
    changelog: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPart:
    """A further file of the model: a shard, an adapter, a tokenizer.

    Attributes:
        name: What it is called.
        path: Where it is, see :attr:`Entry.path`.
        type: What it is to the model, such as ``tokenizer`` or ``lora``.
        license: Its licence, where it differs.
        line: The line of its path in the Kitfile, counted from 1; 0 when it comes from nowhere.
        column: The column of its path, likewise.
    """

    name: str = ""
    path: str
    type: str = ""
    license: str = ""
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The weights.

    Attributes:
        name: What the model is called.
        path: Where it is, see :attr:`Entry.path`.
        type: What kind of model it is, such as ``llm``.
        framework: What runs it, such as ``llama.cpp``.
        format: How its file is laid out, such as ``gguf``.
        version: Its own version, exactly as written.
        description: What it is for.
        license: Its licence.
        parts: Its further files.
        parameters: Whatever else the author says about it.
        line: The line of its path in the Kitfile, counted from 1; 0 when it comes from nowhere.
        column: The column of its path, likewise.
    """

    name: str = ""
    path: str
    type: str = ""
    framework: str = ""
    format: str = ""
    version: str = ""
    description: str = ""
    license: str = ""
    parts: tuple[ModelPart, ...] = ()
    parameters: Json = field(default=None, hash=False)
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt file or a folder of them, with what its own front matter does not say.

    Attributes:
        path: Where it is, see :attr:`Entry.path`.
        name: How applications ask for it.
        description: What it is for.
        model: The model it is tuned for: a name, a glob, or ``bundle`` for the packed one.
        parameters: Sampling parameters it is tuned for.
        variables: A JSON Schema of its variables, or a list of their names.
        output: A JSON Schema of the answer.
        untrusted: The names of variables whose values users control.
        changelog: Why it differs from the version before.
        format: How its template is written, where the name of the file does not tell.
        license: Its licence, where it differs.
        line: The line of its path in the Kitfile, counted from 1; 0 when it comes from nowhere.
        column: The column of its path, likewise.
    """

    path: str
    name: str = ""
    description: str = ""
    model: str = ""
    parameters: Json = field(default=None, hash=False)
    variables: Json = field(default=None, hash=False)
    output: Json = field(default=None, hash=False)
    untrusted: tuple[str, ...] = ()
    changelog: str = ""
    format: str = ""
    license: str = ""
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings that applications read. ``line`` and ``column`` are those of the path in the Kitfile."""

    path: str
    name: str = ""
    description: str = ""
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Data the model was trained or is tested with.

    Attributes:
        path: Where it is, see :attr:`Entry.path`.
        name: What it is called.
        description: What is in it.
        license: Its licence, where it differs.
        purpose: ``test``, ``train``, ``validation``, or an empty string.
        parameters: Whatever else the author says about it.
        line: The line of its path in the Kitfile, counted from 1; 0 when it comes from nowhere.
        column: The column of its path, likewise.
    """

    path: str
    name: str = ""
    description: str = ""
    license: str = ""
    purpose: str = ""
    parameters: Json = field(default=None, hash=False)
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Source code. ``line`` and ``column`` are those of the path in the Kitfile."""

    path: str
    description: str = ""
    license: str = ""
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """Documentation. ``line`` and ``column`` are those of the path in the Kitfile."""

    path: str
    description: str = ""
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


Item: TypeAlias = Model | ModelPart | Prompt | Config | Dataset | Code | Doc
"""Anything in a Kitfile that names files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of the Kitfile and the role its files play.

    Attributes:
        role: One of :data:`ROLES`.
        item: What the author says about these files.
    """

    role: str
    item: Item

    @property
    def path(self) -> str:
        """A file or folder, relative to the Kitfile: forward slashes, no ``./``, no trailing one; ``.`` is everything.

        Where entries nest, the longest path owns the file.
        """
        return self.item.path

    @property
    def line(self) -> int:
        """The line of the path in the Kitfile, counted from 1; 0 when it comes from nowhere."""
        return self.item.line

    @property
    def column(self) -> int:
        """The column of the path in the Kitfile, counted from 1; 0 when it comes from nowhere."""
        return self.item.column


Gates: TypeAlias = Mapping[str, Mapping[str, Json]]
"""The gates of each channel by its name, each gate with what it is told; ``*`` stands for all other channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kitfile:
    """A Kitfile without faults.

    Attributes:
        manifest_version: The version of the format, without a leading ``v``.
        package: What the bundle is as a whole.
        model: The weights, if it has any.
        prompts: The prompts.
        configs: Settings for applications.
        datasets: Data for training and testing.
        code: Source code.
        docs: Documentation.
        policy: What a release has to pass before it goes live, channel by channel.
        raw: The bytes it was read from.
        path: The name of its file inside its folder.
    """

    manifest_version: str = MANIFEST_VERSION
    package: Package = field(default_factory=Package)
    model: Model | None = None
    prompts: tuple[Prompt, ...] = ()
    configs: tuple[Config, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    code: tuple[Code, ...] = ()
    docs: tuple[Doc, ...] = ()
    policy: Gates = field(default_factory=dict, hash=False)
    raw: bytes = field(default=b"", repr=False)
    path: str = KITFILE_NAMES[0]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything that names files, in the order in which it is packed."""
        return tuple(Entry(role=role, item=item) for role, item in self._items())

    def _items(self) -> Iterator[tuple[str, Item]]:
        if self.model:
            yield "model", self.model
            yield from (("model-part", part) for part in self.model.parts)
        yield from (("code", one) for one in self.code)
        yield from (("dataset", one) for one in self.datasets)
        yield from (("doc", one) for one in self.docs)
        yield from (("prompt", one) for one in self.prompts)
        yield from (("config", one) for one in self.configs)
