"""What the commands share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from keva import identity
from keva.db import Desk
from keva.settings import Setting


def takes(*settings: Setting) -> Callable[[Any], Any]:
    """Gives a command the options of those settings."""

    def add(command: Any) -> Any:
        for setting in reversed(settings):
            command = setting.option()(command)
        return command

    return add


@contextmanager
def open_desk(db: Path, create: bool = False) -> Iterator[Desk]:
    desk = Desk(db, identity.mint, create=create)
    try:
        yield desk
    finally:
        desk.close()


def show_table(columns: list[str], rows: list[dict[str, Any]]) -> None:
    cells = [columns, *([str(row[column] or "-") for column in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
