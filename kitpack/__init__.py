"""kitpack: a model and its prompts as one OCI artifact.

::

    import kitpack

    kitpack.pack("samples/support-bot", tag="assistant:1.4.0")
    for prompt in kitpack.inspect("assistant:1.4.0").prompts():
        print(prompt.path, prompt.text)

Importing this module is cheap: everything is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kitpack._version import __version__

if TYPE_CHECKING:
    from kitpack.artifact.bundle import Bundle as Bundle
    from kitpack.checks import check as check
    from kitpack.checks import verify as verify
    from kitpack.content.events import Event as Event
    from kitpack.errors import KitpackError as KitpackError
    from kitpack.errors import ModelError as ModelError
    from kitpack.errors import PromptError as PromptError
    from kitpack.errors import RenderError as RenderError
    from kitpack.names import list_bundles as list_bundles
    from kitpack.names import remove as remove
    from kitpack.names import tag as tag
    from kitpack.oci.descriptor import Descriptor as Descriptor
    from kitpack.promptplaces import lint as lint
    from kitpack.releases.split import split as split
    from kitpack.releasing import adopt as adopt
    from kitpack.releasing import archive as archive
    from kitpack.releasing import history as history
    from kitpack.releasing import promote as promote
    from kitpack.releasing import record_at as record_at
    from kitpack.releasing import restore as restore
    from kitpack.releasing import rollback as rollback
    from kitpack.releasing import rollout as rollout
    from kitpack.releasing import status as status
    from kitpack.releasing import withdraw as withdraw
    from kitpack.runtime.calling.prompted import Wishes as Wishes
    from kitpack.runtime.calling.provider import Provider as Provider
    from kitpack.runtime.calling.provider import provider as provider
    from kitpack.runtime.calling.reply import Reply as Reply
    from kitpack.runtime.declare import PromptRegistry as PromptRegistry
    from kitpack.runtime.declare import register_filter as register_filter
    from kitpack.runtime.declare import register_prompt as register_prompt
    from kitpack.runtime.declare import write_prompts as write_prompts
    from kitpack.runtime.declared import PromptStatus as PromptStatus
    from kitpack.runtime.declared import PromptVersion as PromptVersion
    from kitpack.runtime.follow import Change as Change
    from kitpack.runtime.follow import Followed as Followed
    from kitpack.runtime.follow import follow as follow
    from kitpack.runtime.identity import Identity as Identity
    from kitpack.runtime.load import load as load
    from kitpack.runtime.load import loaded as loaded
    from kitpack.runtime.loaded import LoadedBundle as LoadedBundle
    from kitpack.runtime.logs import IdentityFilter as IdentityFilter
    from kitpack.runtime.served import LoadedPrompt as LoadedPrompt
    from kitpack.runtime.served import Rendered as Rendered
    from kitpack.settings import Settings as Settings
    from kitpack.verbs import copy as copy
    from kitpack.verbs import pack as pack
    from kitpack.verbs import pull as pull
    from kitpack.verbs import push as push
    from kitpack.verbs import unpack as unpack
    from kitpack.views import diff as diff
    from kitpack.views import inspect as inspect

_HOMES = {
    "Bundle": "kitpack.artifact.bundle",
    "Descriptor": "kitpack.oci.descriptor",
    "Event": "kitpack.content.events",
    "Identity": "kitpack.runtime.identity",
    "IdentityFilter": "kitpack.runtime.logs",
    "LoadedBundle": "kitpack.runtime.loaded",
    "Reply": "kitpack.runtime.calling.reply",
    "Settings": "kitpack.settings",
    "Wishes": "kitpack.runtime.calling.prompted",
    "lint": "kitpack.promptplaces",
    "split": "kitpack.releases.split",
    **dict.fromkeys(("check", "verify"), "kitpack.checks"),
    **dict.fromkeys(("KitpackError", "ModelError", "PromptError", "RenderError"), "kitpack.errors"),
    **dict.fromkeys(("list_bundles", "remove", "tag"), "kitpack.names"),
    **dict.fromkeys(
        ("adopt", "archive", "history", "promote", "record_at", "restore", "rollback", "rollout", "status", "withdraw"),
        "kitpack.releasing",
    ),
    **dict.fromkeys(("Provider", "provider"), "kitpack.runtime.calling.provider"),
    **dict.fromkeys(
        ("PromptRegistry", "register_filter", "register_prompt", "write_prompts"), "kitpack.runtime.declare"
    ),
    **dict.fromkeys(("PromptStatus", "PromptVersion"), "kitpack.runtime.declared"),
    **dict.fromkeys(("Change", "Followed", "follow"), "kitpack.runtime.follow"),
    **dict.fromkeys(("load", "loaded"), "kitpack.runtime.load"),
    **dict.fromkeys(("LoadedPrompt", "Rendered"), "kitpack.runtime.served"),
    **dict.fromkeys(("copy", "pack", "pull", "push", "unpack"), "kitpack.verbs"),
    **dict.fromkeys(("diff", "inspect"), "kitpack.views"),
}

__all__ = [
    "Bundle",
    "Change",
    "Descriptor",
    "Event",
    "Followed",
    "Identity",
    "IdentityFilter",
    "KitpackError",
    "LoadedBundle",
    "LoadedPrompt",
    "ModelError",
    "PromptError",
    "PromptRegistry",
    "PromptStatus",
    "PromptVersion",
    "Provider",
    "RenderError",
    "Rendered",
    "Reply",
    "Settings",
    "Wishes",
    "__version__",
    "adopt",
    "archive",
    "check",
    "copy",
    "diff",
    "follow",
    "history",
    "inspect",
    "lint",
    "list_bundles",
    "load",
    "loaded",
    "pack",
    "promote",
    "provider",
    "pull",
    "push",
    "record_at",
    "register_filter",
    "register_prompt",
    "remove",
    "restore",
    "rollback",
    "rollout",
    "split",
    "status",
    "tag",
    "unpack",
    "verify",
    "withdraw",
    "write_prompts",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'kitpack' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
