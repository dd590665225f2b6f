"""What the commands share."""

import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from keva import identity
from keva.cli import streams
from keva.cli.settings import DB, Option
from keva.cli.signals import Signals
from keva.errors import FileUnusable, KevaError
from keva.log import readable
from keva.storage import opening
from keva.storage.database import Database


def takes(*options: Option) -> Callable[[Any], Any]:
    """Gives a command the given options, and has what it fails with name the variable that one came from."""

    def add(command: Any) -> Any:
        @wraps(command)
        def run(*arguments: Any, **values: Any) -> None:
            try:
                command(*arguments, **values)
            except KevaError as error:
                for option in options:
                    error.sentence = _name_variable(error.sentence, option)
                raise

        for option in reversed(options):
            run = option.decorator()(run)
        return run

    return add


def one_line(_: click.Context, __: click.Parameter, name: str) -> str:
    """Checks an option that is a name."""
    if not name.strip() or not name.isprintable() or len(name) > 255:
        raise click.BadParameter("a name is one line of 1 to 255 characters.")
    return name


def _name_variable(sentence: str, option: Option) -> str:
    context = click.get_current_context()
    parameter = option.name.replace("-", "_")
    if context.get_parameter_source(parameter) is not ParameterSource.ENVIRONMENT:
        return sentence
    given = str(context.params[parameter])
    if option.name == DB.name and sentence.startswith(given + " "):
        sentence = f"{given} ({option.variable}){sentence[len(given) :]}"
    return sentence.replace(f"--{option.name}", option.variable)


@contextmanager
def open_database(db: Path) -> Iterator[Database]:
    """The database that is there: a command that is about one that somebody has makes none for a mistyped name."""
    if not db.exists():
        raise FileUnusable(
            f"{db} cannot be opened: there is no such file. Name another with --db, or make it with serve, import or "
            "seed."
        )
    with closing(Database(db, identity.mint, create=False)) as database:
        yield database


@contextmanager
def make_or_open(db: Path) -> Iterator[Database]:
    """The database, made when there is none, and then removed again where the block fails."""
    there = db.exists()
    try:
        with closing(Database(db, identity.mint)) as database:
            yield database
    except BaseException:
        if not there:
            opening.remove(db)
        raise


@contextmanager
def undone_unless_shown(noun: str) -> Iterator[None]:
    """Has what was written undone where nobody can read its secret or its id."""
    try:
        yield
    except (streams.OutputFailed, BrokenPipeError) as error:
        reason = getattr(error, "sentence", "Standard output is not read by anybody.")
        raise streams.OutputFailed(f"{reason} No {noun} was made.") from error


@contextmanager
def throw_away_folder(signals: Signals) -> Iterator[Path]:
    """A folder that is gone with all that it holds once the block is left, by whichever signal and whenever."""
    folder = Path(tempfile.gettempdir(), f"keva-{secrets.token_hex(8)}")
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        signals.call()
        shutil.rmtree(folder, ignore_errors=True)


class Progress:
    """How far a command is, on standard error, for a person who waits longer than a second."""

    def __init__(self, label: str) -> None:
        self._label, self._next, self._shown = label, time.monotonic() + 1.0, False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            with suppress(OSError):
                click.echo(err=True)

    def show(self, done: int, total: int = 0) -> None:
        """`total` is 0 when nobody knows it."""
        if time.monotonic() < self._next or sys.stderr is None or not sys.stderr.isatty():
            return
        self._next, self._shown = time.monotonic() + 0.1, True
        with suppress(OSError):
            far = f"{done / total:.0%}" if total else f"{done:,} bytes"
            click.echo(f"\r{self._label}: {far} ", nl=False, err=True)


def show_table(columns: list[str], rows: list[dict[str, Any]]) -> None:
    cells = [columns, *([readable(str(row[column] or "-")) for column in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)
    streams.show("\n".join(lines))
