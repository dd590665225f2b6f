"""The commands for the database file as a whole."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from keva.cli import streams
from keva.cli.common import Progress, open_database, takes
from keva.cli.settings import DB, FilePath
from keva.errors import FileUnusable
from keva.storage import backups
from keva.storage.opening import reporting_errors
from keva.storage.partial import in_place_of
from keva.storage.paths import LOCK, SERVING, WAL
from keva.transfer import samples
from keva.transfer.exporter import export_tickets
from keva.transfer.importer import TicketImporter, import_tickets


class _Source(click.File):
    """A file to read: a pipe too, and - for standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-" and sys.stdin is None:
            raise FileUnusable("Standard input is closed: name a file, or send the tickets there.")
        return super().convert(value, param, ctx)


@click.command("backup")
@takes(DB)
@click.argument("file", type=FilePath())
def backup_command(db: Path, file: Path) -> None:
    """Copy the database to FILE, while it is served or not.

    The copy is checked, and takes the place of an older backup there.
    """
    with Progress("Backing up") as progress:
        backups.backup(db, file, progress.show)
    streams.confirm(f"Backed up {db} to {file}.")


@click.command("restore")
@takes(DB)
@click.argument("file", type=FilePath())
def restore_command(db: Path, file: Path) -> None:
    """Put the backup FILE in the place of the database.

    What it replaces is kept under another name.
    """
    kept = backups.restore(db, file)
    streams.confirm(f"Restored {db} from {file}." + (f" What it replaced is kept: {kept}" if kept else ""))


@click.command("check")
@takes(DB)
def check_command(db: Path) -> None:
    """Check that the database is sound, while it is served or not."""
    problems = backups.check(db)
    for problem in problems:
        streams.tell(f"{db}: {problem}")
    if problems:
        raise FileUnusable(f"{db} is damaged: restore a backup.")
    streams.confirm(f"{db} is sound.")


@click.command("import")
@takes(DB)
@click.argument("file", type=_Source("rb"))
def import_command(db: Path, file: BinaryIO) -> None:
    """Store the tickets of FILE, a JSON line each.

    All of them are stored or, if one is wrong, none. FILE may be - for standard input.
    """
    size = os.fstat(file.fileno()).st_size  # 0 for a pipe
    if file.isatty():
        streams.tell("Reading tickets from the terminal: end them with Ctrl+D on a line of its own.")
    with open_database(db, create=True) as database, Progress("Importing") as progress, _reading(file):
        number = import_tickets(database, file, lambda read: progress.show(read, size))
    streams.confirm(f"Imported {number} tickets into {db}.")


@click.command("export")
@takes(DB)
@click.argument("file", type=FilePath(allow_dash=True))
def export_command(db: Path, file: Path) -> None:
    """Write all tickets to FILE, a JSON line each.

    FILE may be - for standard output.
    """
    with open_database(db) as database, Progress("Exporting") as progress:
        if file == Path("-"):
            with streams.binary_output() as lines:
                export_tickets(database, lines, progress.show)
            return
        with reporting_errors(file):
            _refuse_what_is_no_export(file)
        with reporting_errors(file), in_place_of(file.resolve()) as partial, partial.open("wb") as lines:
            number = export_tickets(database, lines, progress.show)
    streams.confirm(f"Exported {number} tickets to {file}.")


@click.command("seed")
@takes(DB)
@click.argument("count", metavar="N", type=click.IntRange(1))
def seed_command(db: Path, count: int) -> None:
    """Make N plausible tickets with messages, always the same ones."""
    with open_database(db, create=True) as database, Progress("Seeding") as progress, database.write() as tx:
        importer = TicketImporter(tx)
        for number, record in enumerate(samples.records(count), 1):
            importer.store(record)
            progress.show(number, count)
    streams.confirm(f"Made {count} tickets in {db}.")


@contextmanager
def _reading(file: BinaryIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnusable(f"{file.name} cannot be read: {error.strerror}. Nothing was imported.") from error


def _refuse_what_is_no_export(file: Path) -> None:
    """An export replaces an older one or fills an empty file, and never a database, what goes with one, or more."""
    if not file.exists():
        return
    if file.is_file() and not file.name.endswith((LOCK, SERVING, WAL)):
        with file.open("rb") as there:
            if there.read(1) in (b"", b"{"):
                return
    raise FileUnusable(f"{file} is no export of tickets, and is left as it is: name another file.")


COMMANDS = (backup_command, restore_command, check_command, import_command, export_command, seed_command)
