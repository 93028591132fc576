"""``python -m kitpack``."""

from kitpack.cli import main

main()
