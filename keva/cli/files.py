"""The commands for the database file as a whole."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from keva import backup as backups
from keva.cli.common import takes
from keva.copies import Progress
from keva.errors import CannotStart
from keva.settings import DB

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@takes(DB)
@click.argument("file", type=_FILE)
def backup(db: Path, file: Path) -> None:
    """Copy the database to FILE, checked, while it is served or not; an older backup there is replaced."""
    with _progress(f"Backing up {db}") as progress:
        backups.backup(db, file, progress)
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


@contextmanager
def _progress(label: str) -> Iterator[Progress]:
    """A bar on standard error, for a person alone."""
    with click.progressbar(length=0, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def show(left: int, all_of_them: int) -> None:
            bar.length = all_of_them
            bar.update(all_of_them - left - bar.pos)

        yield show
