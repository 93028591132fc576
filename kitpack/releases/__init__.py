"""What is live: channels, the log of releases, and everything that is decided by reading it."""
