"""What counts the tokens of a bundle's prompts, and what is known about its model, found with as little as possible.

A ``tokenizer.json`` is the first choice, the vocabulary in a GGUF file the second, an estimate the last. Of a GGUF file
only the beginning is read, which cannot be proven against the digest of the whole: whoever could change it on its way
could change a count, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.inspecting.modelfiles import ModelFile, bundle_files, declared_kitfile, folder_files
from kitpack.errors import ContentError, KitpackError, UnpackError
from kitpack.kitfile.classify import is_weight, model_format, weight_rank
from kitpack.kitfile.model import Kitfile
from kitpack.oci.jsontext import JsonObject, parse_object
from kitpack.prompts.facts import ModelFacts, context_window, read_head, read_vocabulary
from kitpack.prompts.gguf import Scalar, read_gguf
from kitpack.prompts.tokenizers import MAX_JSON, counter_of_json, counter_of_vocabulary
from kitpack.prompts.tokens import Counter, estimate

__all__ = ["FAR_HEAD", "NEAR_HEAD", "describe_model", "find_counter"]

FAR_HEAD = 16 << 20
"""Bytes that are read of the beginning of a GGUF file somewhere else; the vocabulary of Llama 3 needs 8 MB."""

NEAR_HEAD = 32 << 20
"""Bytes that are read of the beginning of a GGUF file on this machine."""

_MAX_CONFIG = 1 << 20
_MAX_TRIES = 4
_TOKENIZER, _CONFIGS = "tokenizer.json", ("config.json", "tokenizer_config.json")
_UNUSABLE = (ContentError, UnpackError, OSError)


def find_counter(place: Bundle | Path, *, fetch: bool = False, kitfile: Kitfile | None = None) -> Counter:
    """What counts the tokens of a bundle's prompts best.

    Nothing about a tokenizer is an error here: whatever keeps it from being used stands in the name of the estimate.

    Args:
        place: A bundle, or a folder that holds one.
        fetch: Whether a tokenizer that is not on this machine may be fetched: all of a ``tokenizer.json``, or up to
            :data:`FAR_HEAD` bytes of a GGUF file.
        kitfile: What the folder declares; None to look for its Kitfile.

    Raises:
        NotFoundError, RegistryError: When the bundle's own files cannot be listed.
    """
    files = _files(place, kitfile)
    jsons = _ranked(one for one in files if one.named(_TOKENIZER) or (one.is_archive and not one.is_gguf))
    ggufs = _ggufs(files)
    failures: list[str] = []
    ways: list[tuple[Callable[[ModelFile], Counter | None], list[ModelFile]]] = [
        (_from_json, jsons),
        (_from_gguf, ggufs),
    ]
    for work, found in ways:
        for file in [one for one in found if one.near or (fetch and _is_worth_it(one))][:_MAX_TRIES]:
            try:
                counter = work(file)
            except _UNUSABLE as failure:
                failures.append(_why(failure))
            else:
                if counter is not None:
                    return counter
    return estimate(failures[0] if failures else _why_none([*jsons, *ggufs], fetch=fetch))


def describe_model(place: Bundle | Path, *, fetch: bool = False, kitfile: Kitfile | None = None) -> ModelFacts | None:
    """What is known about the model of a bundle, from the Kitfile and from the beginning of the model itself.

    Args:
        place: A bundle, or a folder that holds one.
        fetch: Whether the first kilobytes of a model, and its small configs, may be fetched from somewhere else.
        kitfile: What the folder declares; None to look for its Kitfile.

    Returns:
        None when there is no model.

    Raises:
        NotFoundError, RegistryError: When the bundle's own files cannot be listed.
    """
    files = _files(place, kitfile)
    model = min((one for one in files if one.role == "model"), key=_model_rank, default=None)
    if model is None:
        return None
    at_hand = [one for one in files if one.near or fetch]
    head = next(filter(None, map(_head, _ggufs(at_hand)[:_MAX_TRIES])), {})
    configs = [_config(one) for name in _CONFIGS for one in _ranked(f for f in at_hand if f.named(name))[:1]]
    declared = _declared(place, kitfile)
    names = [declared.get("name"), head.get("general.name"), PurePosixPath(model.path).name]
    known = tuple(dict.fromkeys(one for one in names if isinstance(one, str) and one))
    return ModelFacts(
        name=known[0],
        names=known,
        path=model.path,
        format=_text(declared.get("format")) or ("gguf" if model.is_gguf else model_format(model.path, b"")),
        architecture=_text(head.get("general.architecture")) or _architecture(configs, declared),
        context_window=next(filter(None, map(context_window, [head, *configs])), None),
    )


def _files(place: Bundle | Path, kitfile: Kitfile | None) -> list[ModelFile]:
    if isinstance(place, Bundle):
        return list(bundle_files(place))
    return list(folder_files(place, kitfile or declared_kitfile(place)))


def _declared(place: Bundle | Path, kitfile: Kitfile | None) -> Mapping[str, object]:
    """What the author says about the model, or what the tool that packed it says."""
    if isinstance(place, Path):
        model = (kitfile or declared_kitfile(place) or Kitfile()).model
        return {"name": model.name, "format": model.format} if model else {}
    about = None if place.declared else place.config.get("descriptor")  # beside a Kitfile, it names the whole bundle
    found = [one for one in (about, place.config.get("config"), place.declared.get("model")) if isinstance(one, dict)]
    return {key: value for one in found for key, value in one.items() if isinstance(value, str) and value}


def _is_worth_it(file: ModelFile) -> bool:
    """Whether to fetch it from somewhere else: an archive may turn out to hold nothing of use."""
    return file.is_gguf or file.size <= (FAR_HEAD if file.is_archive else MAX_JSON)


def _model_rank(file: ModelFile) -> tuple[bool, bool, str]:
    """Sorts the files of a model: its weights before what lies beside them."""
    return (not file.is_gguf and not is_weight(file.path, b""), *weight_rank(file.path))


def _ggufs(files: Iterable[ModelFile]) -> list[ModelFile]:
    return sorted((one for one in files if one.is_gguf), key=_model_rank)


def _ranked(files: Iterable[ModelFile]) -> list[ModelFile]:
    """What belongs to the model before what lies elsewhere, what lies higher before what lies deeper."""
    return sorted(
        files,
        key=lambda one: (one.is_archive, one.role not in ("model", "model-part"), one.path.count("/"), one.path),
    )


def _from_json(file: ModelFile) -> Counter | None:
    raw = file.read(_TOKENIZER, MAX_JSON)
    return None if raw is None else counter_of_json(raw, f"the bundle's {_TOKENIZER}")


def _from_gguf(file: ModelFile) -> Counter | None:
    with file.open() as (stream, size):
        vocabulary = read_vocabulary(read_gguf(stream, size, NEAR_HEAD if file.near else FAR_HEAD))
    return counter_of_vocabulary(vocabulary, f"the tokenizer in {file.path}") if vocabulary else None


def _head(file: ModelFile) -> Mapping[str, Scalar]:
    try:
        with file.open() as (stream, size):
            return read_head(read_gguf(stream, size, NEAR_HEAD if file.near else FAR_HEAD))
    except _UNUSABLE:
        return {}


def _config(file: ModelFile) -> JsonObject:
    try:
        return parse_object(file.read(PurePosixPath(file.path).name, _MAX_CONFIG) or b"{}")
    except (*_UNUSABLE, ValueError):
        return {}


def _architecture(configs: Sequence[JsonObject], declared: Mapping[str, object]) -> str:
    kinds = [*(one.get("model_type") for one in configs), declared.get("architecture")]
    return next(filter(None, map(_text, kinds)), "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _why(failure: Exception) -> str:
    hint = failure.hint if isinstance(failure, KitpackError) else ""
    return f"{failure} ({hint})" if hint else str(failure)


def _why_none(found: Sequence[ModelFile], *, fetch: bool) -> str:
    if not fetch and any(not one.near for one in found):
        return "the bundle's tokenizer is not on this machine"
    return "the bundle has no tokenizer"
