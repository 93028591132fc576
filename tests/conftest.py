"""Fixtures that all tests may use."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.support.registries import docker_registry, embedded_registry, olareg_registry, zot_registry

# A slow machine is no failure; and what CI tries is the same each time, so that it fails for a change alone.
settings.register_profile("patient", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "patient")

__all__ = ["docker_registry", "embedded_registry", "olareg_registry", "zot_registry"]
