"""A bundle becomes files, in a folder or as a release on a host."""
