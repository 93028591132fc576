"""What the author declares: the Kitfile as values, its text, its schema."""
