"""What is in a bundle, and what changed between two of them, in words for people."""
