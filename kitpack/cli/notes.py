"""What the library writes into its log, in front of the person who asked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from kitpack.cli.render import one_line

__all__ = ["notes_on_standard_error"]

_FROM = frozenset({"kitpack", "kitpack.runtime"})
"""The loggers whose words are meant for whoever asked; those of other rooms are for whoever runs a service."""


class _Notes(logging.Handler):
    """Prints records, each on a line of its own, and the same words once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        text = record.getMessage()
        if text in self._printed:
            return
        self._printed.add(text)
        warns = record.levelno >= logging.WARNING
        word = click.style("warning: ", fg="yellow", bold=True) if warns else click.style("note: ", fg="cyan")
        click.echo(word + one_line(text), err=True)


@contextmanager
def notes_on_standard_error(*, quiet: bool) -> Iterator[None]:
    """Show notes and warnings of the library while the context lasts; none with ``--quiet``."""
    logger, handler = logging.getLogger("kitpack"), _Notes()
    handler.addFilter(lambda record: record.name in _FROM and not quiet)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
