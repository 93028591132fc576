"""A Kitfile and files to layers and a manifest, and back."""
