"""Fixtures that all tests may use."""

from __future__ import annotations

from tests.support.registries import docker_registry, olareg_registry, zot_registry

__all__ = ["docker_registry", "olareg_registry", "zot_registry"]
