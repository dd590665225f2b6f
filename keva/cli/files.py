"""The commands for the database file as a whole."""

import os
import sys
from pathlib import Path
from typing import BinaryIO

import click

from keva.cli.common import Progress, open_database, takes
from keva.cli.settings import DB
from keva.errors import FileUnusable
from keva.storage import backups, copies
from keva.storage.opening import reporting_errors
from keva.storage.paths import LOCK, SERVING, WAL
from keva.transfer import samples
from keva.transfer.exporter import export_tickets
from keva.transfer.importer import TicketImporter, import_tickets

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@takes(DB)
@click.argument("file", type=_FILE)
def backup(db: Path, file: Path) -> None:
    """Copy the database to FILE, checked, while it is served or not; an older backup there is replaced."""
    with Progress("Backing up") as progress:
        backups.backup(db, file, progress.show)
    click.echo(f"Backed up {db} to {file}.")


@click.command()
@takes(DB)
@click.argument("file", type=_FILE)
def restore(db: Path, file: Path) -> None:
    """Put the backup FILE in the place of the database, which is kept under another name."""
    kept = backups.restore(db, file)
    click.echo(f"Restored {db} from {file}." + (f" What it replaced is kept: {kept}" if kept else ""))


@click.command()
@takes(DB)
def check(db: Path) -> None:
    """Check that the database is sound, while it is served or not."""
    problems = backups.check(db)
    for problem in problems:
        click.echo(f"{db}: {problem}", err=True)
    if problems:
        raise FileUnusable(f"{db} is damaged: restore a backup.")
    click.echo(f"{db} is sound.")


@click.command("import")
@takes(DB)
@click.argument("file", type=click.File("rb"))
def import_file(db: Path, file: BinaryIO) -> None:
    """Store the tickets of FILE (- for standard input), a JSON line each: all of them or, if one is wrong, none."""
    size = os.fstat(file.fileno()).st_size  # 0 for a pipe
    with open_database(db, create=True) as database, Progress("Importing") as progress:
        number = import_tickets(database, file, lambda read: progress.show(read, size))
    click.echo(f"Imported {number} tickets into {db}.")


@click.command("export")
@takes(DB)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def export_file(db: Path, file: Path) -> None:
    """Write all tickets to FILE (- for standard output), a JSON line each."""
    with open_database(db) as database, Progress("Exporting") as progress:
        if file == Path("-"):
            export_tickets(database, sys.stdout.buffer, progress.show)
            return
        with reporting_errors(file):
            _refuse_what_is_no_export(file)
        with reporting_errors(file), copies.in_place_of(file.resolve()) as partial, partial.open("wb") as lines:
            number = export_tickets(database, lines, progress.show)
    click.echo(f"Exported {number} tickets to {file}.")


@click.command()
@takes(DB)
@click.argument("count", metavar="N", type=click.IntRange(1))
def seed(db: Path, count: int) -> None:
    """Make N plausible tickets with messages, always the same ones."""
    with open_database(db, create=True) as database, Progress("Seeding") as progress, database.write() as tx:
        importer = TicketImporter(tx)
        for number, record in enumerate(samples.records(count), 1):
            importer.store(record)
            progress.show(number, count)
    click.echo(f"Made {count} tickets in {db}.")


def _refuse_what_is_no_export(file: Path) -> None:
    """An export replaces an older one or fills an empty file, and never a database, what goes with one, or more."""
    if not file.exists():
        return
    if file.is_file() and not file.name.endswith((LOCK, SERVING, WAL)):
        with file.open("rb") as there:
            if there.read(1) in (b"", b"{"):
                return
    raise FileUnusable(f"{file} is no export of tickets, and is left as it is: name another file.")


COMMANDS = (backup, restore, check, import_file, export_file, seed)
