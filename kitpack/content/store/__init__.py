"""The local store: an OCI image layout that survives a kill at any moment, its garbage collection, its audit."""
