"""The one connection that writes: whose turn it is, the commit that writes share, the checkpoints."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keva.errors import Unavailable
from keva.log import LOG
from keva.storage import disk
from keva.storage.lock import FileLock
from keva.storage.pool import CLOSED
from keva.storage.transaction import Reader

CHECKPOINT_PAGES = 1000  # of 4 KiB: the WAL stays near 4 MiB under constant load
PATIENCE = 1.0  # seconds for another process's transaction: a key is made in milliseconds, an import takes longer
SLOW_COMMIT = 0.002  # seconds
LONGEST_WAIT = 0.01
_TAKEN = "Another Keva command is writing to the database: try again."
_REPLACED = "The database file was moved or replaced: nothing is stored until Keva is started again."
_BROKEN = "The disk failed while writing: nothing is stored until Keva is started again; reads go on."


class _Batch:
    """Writes that share a commit."""

    def __init__(self) -> None:
        self.writes = 0
        self.ended = threading.Event()
        self.error: Unavailable | None = None


class Writer:
    """Keeps `connection` and the file that `lock` guards; the paragraph at the top of db.py says how."""

    def __init__(self, connection: sqlite3.Connection, lock: FileLock, wal: Path, in_place: Callable[[], bool]) -> None:
        self.trouble: str | None = None  # why the last write was not stored
        self.broken = False  # a sync failed: nothing is written any more
        self._connection, self._lock, self._in_place = connection, lock, in_place
        self._wal = wal.open("rb", buffering=0)
        self._turn = threading.Lock()
        self._waiting: deque[None] = deque()  # an entry for each thread that waits for its turn: += is not atomic
        self._batch = _Batch()
        self._patience = PATIENCE
        self._shared, self._commit_seconds = False, 0.0  # the last commit
        self._checkpoint_at = CHECKPOINT_PAGES

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Safe on disk once the block is left; an exception undoes all of it, and nothing of others.

        Raises Unavailable when it cannot be stored now.
        """
        try:
            with self._in_turn() as batch, self._savepoint(batch):
                yield self._connection
            batch.ended.wait()
            if batch.error:
                raise Unavailable(batch.error.sentence, batch.error.retry_after) from batch.error.__cause__
        except Unavailable as error:
            self.trouble = error.sentence
            self._note_failed_sync(error.__cause__)
            raise
        self.trouble = None

    def overwrite_with(self, template: sqlite3.Connection) -> None:
        """Copies the template database over this one."""
        with self._turn:
            if self._connection.in_transaction:
                self._commit_and_release(self._batch)
            if not self._lock.acquire(PATIENCE):
                raise Unavailable(_TAKEN, retry_after=1)
            try:
                template.backup(self._connection)
            finally:
                self._lock.release()

    def close(self) -> None:
        """Waits for the turn; the last connection to be closed folds the WAL into the file."""
        with self._turn:
            if self._wal.closed:
                return
            if self._connection.in_transaction:
                self._commit_and_release(self._batch)
            self._wal.close()
            self._connection.close()

    @contextmanager
    def _in_turn(self) -> Iterator[_Batch]:
        self._waiting.append(None)
        with self._turn:
            self._waiting.pop()
            if self._wal.closed:
                raise Unavailable(CLOSED)
            batch = self._batch if self._connection.in_transaction else self._begin()
            batch.writes += 1
            try:
                yield batch
            finally:
                self._linger()
                if not (self._connection.in_transaction and self._waiting):
                    self._commit_and_release(batch)

    def _begin(self) -> _Batch:
        if self.broken:
            raise Unavailable(_BROKEN)
        if not self._lock.acquire(self._patience):
            self._patience = 0.0  # the next one need not wait as long in vain
            raise Unavailable(_TAKEN, retry_after=1)
        self._patience = PATIENCE
        try:
            if not self._in_place():
                raise Unavailable(_REPLACED)
            self._run("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise
        self._batch = _Batch()
        return self._batch

    @contextmanager
    def _savepoint(self, batch: _Batch) -> Iterator[None]:
        try:
            self._run("SAVEPOINT one")
            yield
            self._run("RELEASE one")
        except BaseException as error:
            if self._connection.in_transaction:
                self._undo()
            if not self._connection.in_transaction:  # SQLite has undone what the others wrote too
                batch.error = error if isinstance(error, Unavailable) else Unavailable(disk.OTHERWISE, 1)
            raise

    def _undo(self) -> None:
        """Undoes one write alone or, when even that fails, the whole batch."""
        try:
            self._run("ROLLBACK TO one")
            self._run("RELEASE one")
        except Unavailable as error:
            LOG.error("A write could not be undone alone: %s", error.sentence)
            if self._connection.in_transaction:
                self._run("ROLLBACK")

    def _linger(self) -> None:
        """On a slow disk those who shared the last commit are back in a moment, and would wait for all of this one."""
        if self._shared and self._commit_seconds > SLOW_COMMIT and not self._waiting:
            time.sleep(min(self._commit_seconds / 4, LONGEST_WAIT))

    def _commit_and_release(self, batch: _Batch) -> None:
        """Commits for all who share the batch, then lets other processes in."""
        try:
            if self._connection.in_transaction:
                self._commit(batch)
            batch.ended.set()
            self._checkpoint()
        finally:
            batch.ended.set()
            self._lock.release()

    def _commit(self, batch: _Batch) -> None:
        began = time.perf_counter()
        try:
            self._run("COMMIT")
            self._shared, self._commit_seconds = batch.writes > 1, time.perf_counter() - began
        except Unavailable as error:
            batch.error = error
            self._note_failed_sync(error.__cause__)
            if self._connection.in_transaction:
                self._run("ROLLBACK")

    def _checkpoint(self) -> None:
        """Folds the WAL into the file once it is long, so that it is written anew from its start."""
        if self.broken or not self._wal_reaches(self._checkpoint_at):
            return
        try:
            [(busy, *_)] = self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        except sqlite3.DatabaseError as error:
            LOG.error("The database could not be checkpointed: %s", disk.unavailable(error).sentence)
            self._note_failed_sync(error)
            busy = True
        # Whoever reads an older state for long, as a backup does, holds the WAL: don't ask again at every write.
        self._checkpoint_at = 2 * self._checkpoint_at if busy else CHECKPOINT_PAGES

    def _wal_reaches(self, pages: int) -> bool:
        """True when that many are in it since it was last begun anew: each bears its salt (sqlite.org/walformat.html).

        The file's size does not tell: cutting it short each time would cost two fifths of the writes a second.
        """
        salt = self._wal_bytes(16, 8)
        return self._wal_bytes(32 + (pages - 1) * (24 + 4096) + 8, 8) == salt

    def _wal_bytes(self, start: int, count: int) -> bytes:
        self._wal.seek(start)
        return self._wal.read(count)

    def _note_failed_sync(self, error: BaseException | None) -> None:
        if disk.sync_failed(error) and not self.broken:
            self.broken = True
            LOG.error(_BROKEN)

    def _run(self, sql: str) -> None:
        Reader(self._connection).all(sql)
