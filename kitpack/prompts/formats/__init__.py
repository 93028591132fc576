"""The formats in which prompts are written: one module for each, from text to the same value."""
