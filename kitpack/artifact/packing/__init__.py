"""The author's files become layers and a manifest."""
