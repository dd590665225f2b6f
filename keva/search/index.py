"""The index of the words of all messages: a file beside the database that is filled in batches and can be made anew."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from keva.log import LOG
from keva.search import tables
from keva.storage.paths import SHM, WAL, beside

ENDING = "-search"
_BUSY_SECONDS = 5.0


class IndexMissing(Exception):
    """There is no index to search in; the message says why."""


class SearchIndex:
    """The index of the database at `path`; several threads may use it, of the one process that serves the file."""

    def __init__(self, path: Path) -> None:
        self._database, self._path = path, beside(path, ENDING)
        self._lock = threading.Lock()  # one thread fills it at a time
        self._writer: sqlite3.Connection | None = None
        self._filling: threading.Thread | None = None
        self._closed = False

    def catch_up(self, seconds: float) -> float:
        """Takes in what is new, for about so long at most; gives the share of all messages that is in it, up to 1."""
        end = time.perf_counter() + seconds
        with self._lock, self._reporting():
            writer = self._opened()
            tables.drop_erased(writer)
            newest = tables.newest(writer)
            while (seq := tables.take_in_a_batch(writer)) < newest and time.perf_counter() < end and not self._closed:
                pass
        return min(1.0, seq / newest) if newest else 1.0

    def fill_in_background(self) -> None:
        """Takes in what is new in a thread that ends when it has; at once if there is one already."""
        with self._lock:
            if self._closed or (self._filling and self._filling.is_alive()):
                return
            self._filling = threading.Thread(target=self._fill, name="search index", daemon=True)
            self._filling.start()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that reads the index and, as `desk`, the database; IndexMissing where there is no index."""
        with self._reporting(), closing(_connect(self._path, self._database, "ro")) as connection:
            yield connection

    def forget(self) -> None:
        """Removes it, for a desk for tests that was emptied: its ids and seqs begin anew."""
        with self._lock:
            self._close_writer()
            self._remove()

    def drop_erased(self) -> None:
        """Leaves nothing in its file that was erased from the database; IndexMissing where that cannot be."""
        if self._path.exists():
            with self._lock, self._reporting():
                tables.drop_erased(self._opened())
                self._close_writer()

    def close(self) -> None:
        self._closed = True
        if self._filling:
            self._filling.join()
        with self._lock:
            self._close_writer()

    def _close_writer(self) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None

    def _remove(self) -> None:
        for ending in ("", WAL, SHM):
            beside(self._path, ending).unlink(missing_ok=True)

    def _fill(self) -> None:
        try:
            while not self._closed and self.catch_up(0.1) < 1:
                time.sleep(0.01)  # lets those in who search or wait for the interpreter
        except IndexMissing as error:
            LOG.warning("%s", error)

    def _opened(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._open()
        return self._writer

    def _open(self) -> sqlite3.Connection:
        """The index as it is if it is this database's, otherwise a new one."""
        with suppress(sqlite3.DatabaseError), ExitStack() as undo:
            connection = _connect(self._path, self._database, "rw")
            undo.callback(connection.close)
            if tables.is_of_this_desk(connection):
                undo.pop_all()
                return connection
        self._remove()
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, self._database.stat().st_mode & 0o777))
        connection = _connect(self._path, self._database, "rw")
        try:
            tables.make(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turns what SQLite and the system say of the file into IndexMissing, in words for who searches."""
        try:
            yield
        except OSError as error:
            raise IndexMissing(f"The search has no index: {self._path.name}: {error.strerror}.") from error
        except sqlite3.DatabaseError as error:
            if "fts5" in str(error):
                raise IndexMissing("The search needs SQLite with FTS5, which this Python's lacks.") from error
            raise IndexMissing(f"The search has no index: {self._path.name}: {error}.") from error


def _connect(path: Path, database: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        if mode == "rw":
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a cache: what a power cut takes is taken in again
        connection.create_function("casefold", 1, lambda text: text and text.casefold(), deterministic=True)
        connection.execute("ATTACH ? AS desk", (f"{database.as_uri()}?mode=ro",))
    except BaseException:
        connection.close()
        raise
    return connection
