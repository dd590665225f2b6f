"""What the commands share."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from keva import identity
from keva.cli.settings import Option
from keva.storage.database import Database


def takes(*options: Option) -> Callable[[Any], Any]:
    """Gives a command the given options."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option.decorator()(command)
        return command

    return add


@contextmanager
def open_database(db: Path, create: bool = False) -> Iterator[Database]:
    database = Database(db, identity.mint, create=create)
    try:
        yield database
    finally:
        database.close()


class Progress:
    """How far a command is, on standard error, for a person who waits longer than a second."""

    def __init__(self, label: str) -> None:
        self._label, self._next, self._shown = label, time.monotonic() + 1.0, False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            click.echo(err=True)

    def show(self, done: int, total: int = 0) -> None:
        """`total` is 0 when nobody knows it."""
        if time.monotonic() < self._next or not sys.stderr.isatty():
            return
        self._next, self._shown = time.monotonic() + 0.1, True
        click.echo(f"\r{self._label}: {f'{done / total:.0%}' if total else f'{done:,} bytes'} ", nl=False, err=True)


def show_table(columns: list[str], rows: list[dict[str, Any]]) -> None:
    cells = [columns, *([str(row[column] or "-") for column in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
