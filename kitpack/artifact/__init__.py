"""A bundle as it stands in an OCI artifact; packed, unpacked and inspected in the rooms below."""
