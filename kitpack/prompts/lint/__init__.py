"""What is wrong with prompts that parse: found by looking, never by asking a model."""
