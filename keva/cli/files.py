"""The commands for the database file as a whole."""

import os
import sys
from pathlib import Path
from typing import BinaryIO

import click

from keva import backup as backups
from keva import copies, transfer
from keva import seed as seeds
from keva.cli.common import Progress, open_desk, takes
from keva.db import LOCK, SERVING, told_of
from keva.errors import CannotStart
from keva.settings import DB

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
        raise CannotStart(f"{db} is damaged: restore a backup.")
    click.echo(f"{db} is sound.")


@click.command("import")
@takes(DB)
@click.argument("file", type=click.File("rb"))
def import_file(db: Path, file: BinaryIO) -> None:
    """Store the tickets of FILE (- for standard input), a JSON line each: all of them or, if one is wrong, none."""
    size = os.fstat(file.fileno()).st_size  # 0 for a pipe
    with open_desk(db, create=True) as desk, Progress("Importing") as progress:
        number = transfer.import_lines(desk, file, lambda read: progress.show(read, size))
    click.echo(f"Imported {number} tickets into {db}.")


@click.command("export")
@takes(DB)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def export_file(db: Path, file: Path) -> None:
    """Write all tickets to FILE (- for standard output), a JSON line each."""
    with open_desk(db) as desk, Progress("Exporting") as progress:
        if file == Path("-"):
            transfer.export_lines(desk, sys.stdout.buffer, progress.show)
            return
        with told_of(file):
            _refuse_what_is_no_export(file)
        with told_of(file), copies.in_place_of(file.resolve()) as partial, partial.open("wb") as lines:
            number = transfer.export_lines(desk, lines, progress.show)
    click.echo(f"Exported {number} tickets to {file}.")


@click.command()
@takes(DB)
@click.argument("count", metavar="N", type=click.IntRange(1))
def seed(db: Path, count: int) -> None:
    """Make N plausible tickets with messages, always the same ones."""
    with open_desk(db, create=True) as desk, Progress("Seeding") as progress, desk.write() as tx:
        intake = transfer.Intake(tx)
        for number, line in enumerate(seeds.lines(count), 1):
            intake.store(line)
            progress.show(number, count)
    click.echo(f"Made {count} tickets in {db}.")


def _refuse_what_is_no_export(file: Path) -> None:
    """An export replaces an older one or fills an empty file, and never a database, what goes with one, or more."""
    if not file.exists():
        return
    if file.is_file() and not file.name.endswith((LOCK, SERVING, "-wal")):
        with file.open("rb") as there:
            if there.read(1) in (b"", b"{"):
                return
    raise CannotStart(f"{file} is no export of tickets, and is left as it is: name another file.")


COMMANDS = (backup, restore, check, import_file, export_file, seed)
