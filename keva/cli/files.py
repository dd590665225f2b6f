"""The commands for the database file as a whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from keva.cli import streams
from keva.cli.common import Progress, make_or_open, open_database, takes
from keva.cli.settings import DB, DB_THERE, FilePath
from keva.errors import FileUnusable, Invalid
from keva.storage import backups
from keva.storage.opening import reporting_errors
from keva.storage.partial import in_place_of
from keva.storage.paths import LOCK, SERVING, WAL
from keva.transfer import samples
from keva.transfer.exporter import export_tickets
from keva.transfer.importer import TicketImporter

STANDARD_OUTPUT = Path("-")


@click.command("backup")
@takes(DB_THERE)
@click.argument("file", type=FilePath())
def backup_command(db: Path, file: Path) -> None:
    """Copy the database to FILE, while it is served or not.

    The copy is checked, and takes the place of an older backup there.
    """
    with Progress("Backing up") as progress:
        backups.backup(db, file, progress.show)
    streams.confirm(f"Backed up {db} to {file}.")


@click.command("restore")
@takes(DB._replace(help="The database file, there or not."))
@click.argument("file", type=FilePath())
def restore_command(db: Path, file: Path) -> None:
    """Put the backup FILE in the place of the database.

    What it replaces is kept under another name.
    """
    kept = backups.restore(db, file)
    streams.confirm(f"Restored {db} from {file}." + (f" What it replaced is kept: {kept}" if kept else ""))


@click.command("check")
@takes(DB_THERE)
def check_command(db: Path) -> None:
    """Check that the database is sound, while it is served or not."""
    problems = backups.check(db)
    for problem in problems:
        streams.tell(f"{db}: {problem}")
    if problems:
        raise FileUnusable(f"{db} is damaged: restore a backup.")
    streams.confirm(f"{db} is sound.")


@click.command("export")
@takes(DB_THERE)
@click.argument("file", type=FilePath(allow_dash=True))
def export_command(db: Path, file: Path) -> None:
    """Write all tickets to FILE, a JSON line each.

    FILE may be - for standard output.
    """
    with open_database(db) as database, Progress("Exporting") as progress, export_into(file) as lines:
        number = export_tickets(database, lines, progress.show)
    if file != STANDARD_OUTPUT:
        streams.confirm(f"Exported {number} tickets to {file}.")


@click.command("seed")
@takes(DB)
@click.option("--yes", is_flag=True, help="Seed a database too that holds tickets.")
@click.argument("count", metavar="N", type=click.IntRange(1))
def seed_command(db: Path, count: int, yes: bool) -> None:
    """Make N plausible tickets with messages, always the same ones."""
    with make_or_open(db) as database, Progress("Seeding") as progress, database.write() as tx:
        importer = TicketImporter(tx)
        if importer.found_tickets and not yes:
            raise Invalid(
                f"{db} holds tickets, among which the invented ones would stand for good: name another file with --db, "
                "or give --yes if that is meant."
            )
        for number, record in enumerate(samples.records(count), 1):
            importer.store(record)
            progress.show(number, count)
    streams.confirm(f"Made {count} tickets in {db}.")


@contextmanager
def export_into(file: Path) -> Iterator[BinaryIO]:
    """Standard output or, for the name of a file, what takes its place once the block has written all."""
    if file == STANDARD_OUTPUT:
        with streams.binary_output() as lines:
            yield lines
        return
    with reporting_errors(file):
        _refuse_what_is_no_export(file)
    with reporting_errors(file), in_place_of(file.resolve()) as partial, partial.open("wb") as lines:
        yield lines


def _refuse_what_is_no_export(file: Path) -> None:
    """An export replaces an older one or fills an empty file, and never a database, what goes with one, or more."""
    if not file.exists():
        return
    if file.is_file() and not file.name.endswith((LOCK, SERVING, WAL)):
        with file.open("rb") as there:
            if there.read(1) in (b"", b"{"):
                return
    raise FileUnusable(f"{file} is no export of tickets, and is left as it is: name another file.")


COMMANDS = (backup_command, restore_command, check_command, export_command, seed_command)
