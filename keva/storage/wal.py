"""The write-ahead log of a database: folded into the file once it is long."""

import os
import sqlite3
from pathlib import Path

CHECKPOINT_PAGES = 1000  # of 4 KiB: the WAL stays near 4 MiB under constant load
# Litestream checkpoints what it replicates. Two who do so copy each page twice: under constant load the slowest write
# took 202 ms then, and 28 ms with Litestream alone. Past this it has stopped, or cannot keep up.
REPLICATED_PAGES = 16 * CHECKPOINT_PAGES


class Wal:
    """The file at `path`, of a connection that does not checkpoint by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._checkpoint_at = CHECKPOINT_PAGES

    def close(self) -> None:
        self._file.close()

    def is_in_place(self) -> bool:
        """False once the file that is open is no longer the one at its path: a crash would lose what is in it."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def rescue(self, connection: sqlite3.Connection, database: Path) -> None:
        """Folds one that was deleted into the file while it is still open, unless another wrote the file since."""
        if os.fstat(self._file.fileno()).st_mtime_ns >= os.stat(database).st_mtime_ns:
            connection.execute("PRAGMA wal_checkpoint").fetchall()

    def checkpoint(self, connection: sqlite3.Connection) -> None:
        """Folds it into the file once it is long, so that it is written anew from its start."""
        if not self._reaches(self._checkpoint_at):
            return
        if self._checkpoint_at < REPLICATED_PAGES and _is_replicated(connection):
            self._checkpoint_at = REPLICATED_PAGES
            return
        # Whoever reads an older state for long, as a backup does, holds the WAL: don't ask again at every write.
        self._checkpoint_at *= 2
        [(busy, *_)] = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        if not busy:
            self._checkpoint_at = CHECKPOINT_PAGES

    def _reaches(self, pages: int) -> bool:
        """True when that many are in it since it was last begun anew: each bears its salt (sqlite.org/walformat.html).

        The file's size does not tell: cutting it short each time would cost two fifths of the writes a second.
        """
        salt = self._bytes(16, 8)
        return self._bytes(32 + (pages - 1) * (24 + 4096) + 8, 8) == salt

    def _bytes(self, start: int, count: int) -> bytes:
        self._file.seek(start)
        return self._file.read(count)


def _is_replicated(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_litestream_seq'").fetchall())
