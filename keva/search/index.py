"""The index of the words of all messages: a file beside the database that is filled in batches and can be made anew."""

# It has a table of words for each 100,000 messages, and a search reads the newest first: to look up the start of a word
# FTS5 gathers every place of every word that begins so, in the whole table, before it gives the first.
#
# FTS5 writes to its file at every savepoint, and each write of the desk is one: an index in the database would cost
# every create. Messages are only ever added, so the index knows up to which seq it has come, and nothing else.

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from keva.log import LOG
from keva.search import words
from keva.storage.paths import SHM, WAL, beside

ENDING = "-search"
BATCH = 500  # messages in one transaction
PART = 100_000  # messages in one table of words
_BUSY_SECONDS = 5.0
# Marks of vowels and of a vowel's absence are parts of words in the scripts of India and around it.
_TOKENS = "unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
_WORDS = f"""
CREATE VIRTUAL TABLE IF NOT EXISTS words_{{part}} USING fts5(
  subject, people, body, workspace, content='', columnsize=0, tokenize="{_TOKENS}")
"""
_UPTO = "CREATE TABLE upto (desk TEXT NOT NULL, seq INTEGER NOT NULL, message TEXT)"


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
            newest = _newest(writer)
            while (seq := _take_in_a_batch(writer)) < newest and time.perf_counter() < end and not self._closed:
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
            if _is_of_this_desk(connection):
                undo.pop_all()
                return connection
        self._remove()
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, self._database.stat().st_mode & 0o777))
        connection = _connect(self._path, self._database, "rw")
        try:
            _make(connection)
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


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute(_WORDS.format(part=0))
    connection.execute(_UPTO)
    connection.execute("INSERT INTO upto SELECT id, 0, NULL FROM desk.workspaces ORDER BY seq LIMIT 1")
    connection.execute("COMMIT")


def parts(connection: sqlite3.Connection) -> list[int]:
    """The numbers of the tables of words, the newest first: each has the messages from PART times it on."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'").fetchall()
    return sorted((int(name.removeprefix("words_")) for (name,) in rows), reverse=True)


def _is_of_this_desk(connection: sqlite3.Connection) -> bool:
    """False for another database's, told by its first workspace, and for one that is ahead of a restored backup."""
    found = connection.execute(
        """
        SELECT upto.seq = 0 OR messages.id = upto.message FROM upto
        JOIN desk.workspaces ON workspaces.id = upto.desk AND workspaces.seq = (SELECT min(seq) FROM desk.workspaces)
        LEFT JOIN desk.messages ON messages.seq = upto.seq
        """
    ).fetchall()
    return bool(found and found[0][0])


def _newest(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT ifnull(max(seq), 0) FROM desk.messages").fetchone()[0])


def _take_in_a_batch(connection: sqlite3.Connection) -> int:
    """Gives the seq up to which it has come."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        seq = int(connection.execute("SELECT seq FROM upto").fetchone()[0])
        rows = connection.execute(
            """
            SELECT messages.seq, messages.id, subject, customer_email, customer_name, sender_email, sender_name, body,
              workspace
            FROM desk.messages JOIN desk.tickets ON tickets.seq = ticket
            WHERE messages.seq > ? ORDER BY messages.seq LIMIT ?
            """,
            (seq, BATCH),
        ).fetchall()
        if rows:
            seq = _store(connection, rows)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return seq


def _store(connection: sqlite3.Connection, rows: list[Any]) -> int:
    """Stores those of one table, and gives the seq of the last."""
    part = rows[0][0] // PART
    rows = [row for row in rows if row[0] // PART == part]
    connection.execute(_WORDS.format(part=part))
    connection.executemany(
        f"INSERT INTO words_{part} (rowid, subject, people, body, workspace) VALUES (?, ?, ?, ?, ?)", map(_row, rows)
    )
    connection.execute("UPDATE upto SET seq = ?, message = ?", rows[-1][:2])
    return int(rows[-1][0])


def _row(row: Any) -> tuple[int, str, str, str, str]:
    seq, _, subject, *people, body, workspace = row
    who = " ".join(dict.fromkeys(filter(None, people)))
    return seq, words.indexed(subject), words.indexed(who), words.indexed(body), f"w{workspace}"
