"""Media types, artifact types and annotation keys: the only place where these strings are written.

Specs: the OCI image spec, CNCF ModelPack (https://github.com/modelpack/model-spec) and KitOps' ModelKit.
"""

from __future__ import annotations

__all__ = [
    "ANNOTATION_FILEPATH",
    "ANNOTATION_FILE_METADATA",
    "ANNOTATION_KITFILE",
    "ANNOTATION_LAYER_SUBTYPE",
    "ANNOTATION_REF_NAME",
    "ANNOTATION_REPOSITORY",
    "ANNOTATION_ROLE",
    "ANNOTATION_TITLE",
    "DOCKER_INDEX",
    "DOCKER_MANIFEST",
    "EMPTY_CONFIG",
    "INDEX_TYPES",
    "KITOPS_CONFIG",
    "KITOPS_MANIFEST",
    "MANIFEST_TYPES",
    "MODEL_CONFIG",
    "MODEL_MANIFEST",
    "OCI_INDEX",
    "OCI_MANIFEST",
    "OCTET_STREAM",
    "is_manifest",
    "model_layer",
]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
EMPTY_CONFIG = "application/vnd.oci.empty.v1+json"
OCTET_STREAM = "application/octet-stream"

MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_INDEX)

MODEL_MANIFEST = "application/vnd.cncf.model.manifest.v1+json"
MODEL_CONFIG = "application/vnd.cncf.model.config.v1+json"

KITOPS_MANIFEST = "application/vnd.kitops.modelkit.manifest.v1+json"
KITOPS_CONFIG = "application/vnd.kitops.modelkit.config.v1+json"

ANNOTATION_TITLE = "org.opencontainers.image.title"
ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"
ANNOTATION_FILEPATH = "org.cncf.model.filepath"
ANNOTATION_FILE_METADATA = "org.cncf.model.file.metadata+json"
ANNOTATION_KITFILE = "ml.kitops.modelkit.kitfile"
ANNOTATION_LAYER_SUBTYPE = "ml.kitops.modelkit.layer-subtype"
ANNOTATION_ROLE = "io.kitpack.role"
ANNOTATION_REPOSITORY = "io.kitpack.repository"


def is_manifest(media_type: str) -> bool:
    """Whether content of this media type names other content, as manifests and indexes do."""
    return media_type in MANIFEST_TYPES or media_type in INDEX_TYPES


def model_layer(base: str, form: str = "raw") -> str:
    """The ModelPack media type of a layer, e.g. ``model_layer("weight")`` or ``model_layer("dataset", "tar")``."""
    return f"application/vnd.cncf.model.{base}.v1.{form}"
