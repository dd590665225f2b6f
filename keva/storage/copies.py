"""Files put in place in one step or not at all, and whole copies of a database."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from keva.errors import FileUnusable
from keva.storage import schema

_PAGES_AT_A_TIME = 2000
Progress = Callable[[int, int], None]


def copy(source: sqlite3.Connection, target: Path, on_progress: Progress | None = None) -> None:
    """A copy of `source` as it is now, in one file of mode 0600 at `target`, whatever is written meanwhile.

    `on_progress` gets the number of pages copied, and of all pages. What stood at `target` is replaced, unless this
    raises.
    """
    with in_place_of(target) as partial:
        with closing(sqlite3.connect(partial, isolation_level=None)) as destination:
            _fill(source, destination, on_progress)
            problems = schema.problems_of(destination)
        if problems:
            raise FileUnusable(f"The copy is not sound, and was not kept: {problems[0]}")


@contextmanager
def in_place_of(target: Path) -> Iterator[Path]:
    """An empty file of mode 0600 to fill, which is put at `target` once it is on disk, or removed by an exception."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        yield partial
        sync(partial)
        partial.replace(target)
        sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Has the file, or the folder's list of names, on disk before it returns."""
    if os.name == "nt" and path.is_dir():  # Windows keeps the list of names itself
        return
    opened = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _fill(source: sqlite3.Connection, destination: sqlite3.Connection, on_progress: Progress | None) -> None:
    # Inside one read transaction: otherwise each commit of another process starts the copy anew.
    source.execute("BEGIN")
    try:
        source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        source.backup(
            destination,
            pages=_PAGES_AT_A_TIME,
            progress=(lambda _, left, pages: on_progress(pages - left, pages)) if on_progress else None,
        )
    finally:
        source.execute("ROLLBACK")
    destination.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
