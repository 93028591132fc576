"""Calling a model: one thin client for OpenAI-compatible chat endpoints and for Anthropic's messages."""
