"""Prompts in the shapes of other tools: read from them, and written for them."""
