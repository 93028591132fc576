"""Values of the OCI specifications: digests, descriptors, manifests, references. Nothing here does I/O."""
