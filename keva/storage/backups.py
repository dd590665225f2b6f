"""Backups of the database: made while it is served, checked before they replace anything."""

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from keva.errors import FileUnusable
from keva.storage import copies, opening, schema
from keva.storage.partial import in_place_of, sync
from keva.storage.paths import LOCK, SHM, WAL, beside, free_name


def backup(path: Path, target: Path, on_progress: copies.Progress | None = None) -> None:
    """A checked copy of the database at `path` in one file, `target`; an older backup there is replaced whole."""
    target = target.resolve()
    with opening.reading(path) as connection, opening.reporting_errors(target):
        if target.exists() and not _is_backup(target):
            raise FileUnusable(f"{target} is no backup of a Keva database, and is left as it is: name another file.")
        copies.copy(connection, target, on_progress)


def restore(path: Path, source: Path) -> Path | None:
    """Puts what `source` holds in the place of the database at `path`; gives the name under which that one is kept."""
    path = path.resolve()
    with opening.reading(source) as connection, opening.reporting_errors(path), opening.alone(path):
        problems = schema.problems_of(connection)
        if problems:
            raise FileUnusable(f"{source} is damaged, and was not restored: {problems[0]}.")
        with in_place_of(path) as partial:
            copies.fill(connection, partial)
            sync(partial)
            return _keep(path)


def check(path: Path) -> list[str]:
    """What is wrong with the database at `path`, a sentence each; served or not."""
    with opening.reading(path) as connection:
        connection.execute("BEGIN")
        return schema.problems_of(connection)


def _is_backup(target: Path) -> bool:
    """A file of ours that nobody ever served or wrote to by command: that leaves a lock beside it."""
    if not target.is_file() or beside(target, LOCK).exists():
        return False
    with target.open("rb") as file:
        return file.read(100)[68:72] == schema.APPLICATION_ID.to_bytes(4, "big")  # sqlite.org/fileformat2.html


def _keep(path: Path) -> Path | None:
    """A second name for the file, and its WAL's first one: at no moment is there no database at `path`.

    None where there was nothing. A WAL alone is put aside too: SQLite would play it over what comes in its place.
    """
    kept = free_name(path, "replaced")
    wal = beside(path, WAL)
    if path.exists():
        _fold(path)
        try:
            os.link(path, kept)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            with in_place_of(kept) as partial:
                shutil.copyfile(path, partial)
    if wal.exists():
        wal.replace(beside(kept, WAL))
    beside(path, SHM).unlink(missing_ok=True)
    return kept if kept.exists() else None


def _fold(path: Path) -> None:
    """The last to close a database folds its WAL; a damaged one, which is what restoring is for, stays as it is."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
