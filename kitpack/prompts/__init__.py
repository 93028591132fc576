"""Text and its variables; knows nothing of registries."""
