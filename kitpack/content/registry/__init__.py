"""A repository of a remote registry: requests, credentials, uploads, downloads, referrers."""
