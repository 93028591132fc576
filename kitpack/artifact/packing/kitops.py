"""The Kitfile as KitOps wants to find it in an artifact: JSON, one entry per layer, each with its digest.

Spec: https://github.com/kitops-ml/kitops/blob/main/pkg/artifact/kitfile.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kitpack.artifact.packing.layers import PackedLayer
from kitpack.kitfile.model import Dataset, Kitfile, Model, ModelPart, Prompt
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["kitops_kitfile"]

_SECTIONS = {"code": "code", "config": "code", "dataset": "datasets", "doc": "docs", "prompt": "prompts"}
"""Where the layers of a role stand; KitOps has no word for configs."""


def kitops_kitfile(kitfile: Kitfile, layers: Sequence[PackedLayer]) -> JsonObject:
    """Describe the layers in KitOps' words.

    A folder of the author's Kitfile became several layers, so it becomes several entries. The layer of the Kitfile
    itself is left out, because KitOps writes a Kitfile of its own when it unpacks.
    """
    package = kitfile.package
    result: JsonObject = {
        "manifestVersion": kitfile.manifest_version,
        "package": _given(
            {
                "name": package.name,
                "version": package.version,
                "description": package.description,
                "license": package.license,
                "authors": [*package.authors],
            }
        ),
    }
    weights = [layer for layer in layers if layer.planned.role in ("model", "model-part")]
    if weights:
        result["model"] = _model(kitfile.model, weights)
    for section in ("code", "datasets", "docs", "prompts"):
        entries: list[Json] = [_entry(layer) for layer in layers if _SECTIONS.get(layer.planned.role) == section]
        if entries:
            result[section] = entries
    return result


def _model(model: Model | None, weights: Sequence[PackedLayer]) -> JsonObject:
    """The first weights as the model, everything else as its parts: KitOps knows one file for each."""
    first = next((layer for layer in weights if layer.planned.base == "weight"), weights[0])
    declared: Mapping[str, Json] = {}
    if model:
        declared = {
            "name": model.name,
            "path": first.planned.path,
            "license": model.license,
            "framework": model.framework,
            "format": model.format,
            "version": model.version,
            "description": model.description,
        }
    parts: list[Json] = [_part(layer) for layer in weights if layer is not first]
    parameters = model.parameters if model else None
    return _given({**declared, "path": first.planned.path, "parts": parts, "parameters": parameters, **_address(first)})


def _part(layer: PackedLayer) -> JsonObject:
    item = layer.planned.entry.item
    said = {"name": item.name, "license": item.license, "type": item.type} if isinstance(item, ModelPart) else {}
    return _given({"path": layer.planned.path, **said, **_address(layer)})


def _entry(layer: PackedLayer) -> JsonObject:
    item = layer.planned.entry.item
    said: dict[str, Json] = {"description": getattr(item, "description", "")}
    if isinstance(item, Dataset):
        said |= {"name": item.name, "license": item.license, "parameters": item.parameters}
    elif isinstance(item, Prompt):
        said["name"] = item.name
    return _given({"path": layer.planned.path, **said, **_address(layer)})


def _address(layer: PackedLayer) -> JsonObject:
    digest = str(layer.descriptor.digest)
    return {"digest": digest, "diffId": digest}


def _given(value: Mapping[str, Json]) -> JsonObject:
    return {key: member for key, member in value.items() if member not in ("", None, [])}
