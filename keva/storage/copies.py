"""Whole copies of a database, each checked before it is put in place."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from keva.errors import FileUnusable
from keva.storage import schema
from keva.storage.partial import in_place_of

_PAGES_AT_A_TIME = 2000
Progress = Callable[[int, int], None]


def copy(source: sqlite3.Connection, target: Path, on_progress: Progress | None = None) -> None:
    """A copy of `source` as it is now, in one file of mode 0600 at `target`, whatever is written meanwhile.

    `on_progress` gets the number of pages copied, and of all pages. What stood at `target` is replaced, unless this
    raises.
    """
    with in_place_of(target) as partial:
        fill(source, partial, on_progress)


def fill(source: sqlite3.Connection, partial: Path, on_progress: Progress | None = None) -> None:
    """Makes the empty file at `partial` a copy of `source`, and checks it."""
    with closing(sqlite3.connect(partial, isolation_level=None)) as destination:
        _copy_pages(source, destination, on_progress)
        problems = schema.problems_of(destination)
    if problems:
        raise FileUnusable(f"The copy is not sound, and was not kept: {problems[0]}")


def _copy_pages(source: sqlite3.Connection, destination: sqlite3.Connection, on_progress: Progress | None) -> None:
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
