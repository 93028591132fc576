"""A layer that is in the store, with what it was made of."""

from __future__ import annotations

from dataclasses import dataclass

from kitpack.artifact.packing.plan import PlannedLayer
from kitpack.oci.descriptor import Descriptor

__all__ = ["PackedLayer"]


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """A planned layer and the blob it became.

    Attributes:
        planned: What was asked for.
        descriptor: What it is in the store, without annotations.
    """

    planned: PlannedLayer
    descriptor: Descriptor
