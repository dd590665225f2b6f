"""The command that takes tickets in from a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from keva.cli import streams
from keva.cli.common import Progress, make_or_open, takes
from keva.cli.settings import DB
from keva.errors import FileUnusable
from keva.storage.opening import reading
from keva.storage.transaction import Reader
from keva.transfer.findings import ImportRefused
from keva.transfer.importing import Import
from keva.transfer.spool import Spool


class _Source(click.File):
    """A file to read: a pipe too, and - for standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-" and sys.stdin is None:
            raise FileUnusable("Standard input is closed: name a file, or send the tickets there.")
        return super().convert(value, param, ctx)


@click.command("import")
@takes(DB)
@click.option("--check", is_flag=True, help="Tell what is wrong with FILE, and store nothing.")
@click.option("--skip-existing", is_flag=True, help="Leave out tickets whose id is there already.")
@click.option("--truncate", is_flag=True, help="Shorten texts that are too long, with a mark, and tell of each.")
@click.argument("file", type=_Source("rb"))
def import_command(db: Path, file: BinaryIO, check: bool, skip_existing: bool, truncate: bool) -> None:
    """Store the tickets of FILE: JSON lines, or a JSON array.

    All of them are stored or, if one is wrong, none; what is wrong is told, line by line. FILE may be - for standard
    input.
    """
    with closing(Spool(db.resolve().parent)) as spool, telling():
        job = Import(spool, skip_existing, truncate)
        read(job, file)
        _tell_shortened(job)
        if check or job.findings.count:
            _compare(job, db)
        else:
            with make_or_open(db) as database, Progress("Storing") as progress:
                job.store(database, progress.show)
    left_out = f" {job.skipped} were there already, and were left out." if skip_existing else ""
    done = f"{job.tickets} tickets can be imported" if check else f"Imported {job.tickets} tickets"
    streams.confirm(f"{done} into {db}.{left_out}")


@contextmanager
def telling() -> Iterator[None]:
    """Tells, line by line, what is wrong with the tickets that the block refuses."""
    try:
        yield
    except ImportRefused as refused:
        for line in refused.lines:
            streams.tell(line)
        raise


def read(job: Import, file: BinaryIO) -> None:
    """Reads all of the file, and shows how far it is; FileUnusable where that fails."""
    size = os.fstat(file.fileno()).st_size  # 0 for a pipe
    if file.isatty():
        streams.tell("Reading tickets from the terminal: end them with Ctrl+D on a line of its own.")
    with Progress("Checking") as progress:
        try:
            job.read(file, lambda read: progress.show(read, size))
        except OSError as error:
            raise FileUnusable(f"{file.name} cannot be read: {error.strerror}. Nothing was imported.") from error


def _tell_shortened(job: Import) -> None:
    for line in job.shortened:
        streams.tell(f"{job.noun} {line}")
    if more := job.shortened_lines - len(job.shortened):
        streams.tell(f"And {more} more were shortened.")


def _compare(job: Import, db: Path) -> None:
    """Raises ImportRefused where anything is wrong, with the ids that are taken too."""
    if db.exists() and db.stat().st_size:
        with reading(db) as connection:
            job.compare(Reader(connection))
    else:
        job.compare(None)
    if job.findings.count:
        raise job.findings.refusal(job.noun)


COMMANDS = (import_command,)
