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
    from kitpack.errors import KitpackError as KitpackError
    from kitpack.names import list_bundles as list_bundles
    from kitpack.names import remove as remove
    from kitpack.names import tag as tag
    from kitpack.oci.descriptor import Descriptor as Descriptor
    from kitpack.settings import Settings as Settings
    from kitpack.verbs import copy as copy
    from kitpack.verbs import diff as diff
    from kitpack.verbs import inspect as inspect
    from kitpack.verbs import pack as pack
    from kitpack.verbs import pull as pull
    from kitpack.verbs import push as push
    from kitpack.verbs import unpack as unpack

_HOMES = {
    "Bundle": "kitpack.artifact.bundle",
    "Descriptor": "kitpack.oci.descriptor",
    "KitpackError": "kitpack.errors",
    "Settings": "kitpack.settings",
    "check": "kitpack.checks",
    "verify": "kitpack.checks",
    **dict.fromkeys(("copy", "diff", "inspect", "pack", "pull", "push", "unpack"), "kitpack.verbs"),
    **dict.fromkeys(("list_bundles", "remove", "tag"), "kitpack.names"),
}

__all__ = [
    "Bundle",
    "Descriptor",
    "KitpackError",
    "Settings",
    "__version__",
    "check",
    "copy",
    "diff",
    "inspect",
    "list_bundles",
    "pack",
    "pull",
    "push",
    "remove",
    "tag",
    "unpack",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'kitpack' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
