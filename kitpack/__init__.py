"""A model and its prompts as one OCI artifact."""

from kitpack._version import __version__

__all__ = ["__version__"]
