"""The one connection that writes, with the lock between processes and the WAL that go with it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from keva.errors import Unavailable
from keva.log import LOG
from keva.storage import disk
from keva.storage.lock import FileLock
from keva.storage.paths import WAL, beside
from keva.storage.pool import CLOSED
from keva.storage.transaction import Reader
from keva.storage.wal import Wal

PATIENCE = 1.0  # seconds for another process's transaction: a key is made in milliseconds, an import takes longer
_READERS_MILLISECONDS = 2000  # how long to wait for those who read an older state
_BEING_READ = "A command such as backup or export still reads an older state: wait for its end."
_TAKEN = "Another Keva command is writing to the database: try again."
_REPLACED = "The database file was moved or replaced: nothing is stored until Keva is started again."
_NO_WAL = "The database's -wal file was moved or deleted: nothing is stored until Keva is started again."
_BROKEN = "The disk failed while writing: nothing is stored until Keva is started again; reads go on."


class WriteConnection:
    """A connection made by `connect`, and made anew where it cannot end its own transaction; not for several threads.

    The lock is held from before BEGIN until `finish` or `undo`.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        lock: FileLock,
        path: Path,
        is_in_place: Callable[[], bool],
        guards_wal: bool,
    ) -> None:
        self.broken = False  # a sync failed: nothing is written any more
        self._connect, self._lock, self._path, self._is_in_place = connect, lock, path, is_in_place
        self._guards_wal = guards_wal  # not on a desk for tests: a suite may fake os.stat
        self._connection: sqlite3.Connection | None = None
        self._wal: Wal | None = None
        self._patience = PATIENCE
        self.open()

    @property
    def in_transaction(self) -> bool:
        return self._connection is not None and self._connection.in_transaction

    @property
    def changes(self) -> int:
        """Of rows, so far: it grows while somebody writes."""
        return self._connection.total_changes if self._connection else -1

    def open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        if self._wal is None:
            self._wal = Wal(beside(self._path, WAL))
        return self._connection

    def begin(self) -> None:
        """Takes the lock and begins a transaction; Unavailable, with the lock taken or not, when that cannot be now."""
        if self.broken:
            raise Unavailable(_BROKEN)
        self.lock()
        if not self._is_in_place():
            raise Unavailable(_REPLACED)
        try:
            connection = self.open()
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(disk.OTHERWISE, 1) from error
        if self._guards_wal and self._wal and not self._wal.is_in_place():
            self._rescue(self._wal, connection)
            raise Unavailable(_NO_WAL)
        self.run("BEGIN IMMEDIATE")

    def run(self, sql: str) -> None:
        Reader(self.open()).all(sql)

    def commit(self) -> None:
        if self.broken:
            raise Unavailable(_BROKEN)
        if self._lock.is_closed:
            raise Unavailable(CLOSED)
        self.run("COMMIT")

    def finish(self) -> None:
        """Checkpoints when the WAL is long, and lets other processes in. What was committed stays so."""
        try:
            if self._wal and self._connection and not self.broken:
                self._wal.checkpoint(self._connection)
        except sqlite3.DatabaseError as error:
            LOG.error("The database could not be checkpointed: %s", disk.unavailable(error).sentence)
            self.note(error)
        except (OSError, MemoryError) as error:
            LOG.error("The database could not be checkpointed: %r", error)
        self.unlock()

    def undo(self) -> None:
        """Leaves no transaction open, and lets other processes in."""
        if self._connection and self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except (sqlite3.Error, MemoryError) as error:
                LOG.error("Writes could not be undone: %r", error)
            if self._connection.in_transaction and not self.broken:  # to close it would checkpoint, and the disk failed
                self.close()
        self.unlock()

    def overwrite_with(self, source: sqlite3.Connection) -> None:
        self.lock()
        source.backup(self.open())
        self.finish()

    def rewrite(self) -> None:
        """Leaves nothing in the files that was deleted: free pages, and the gaps within the others, hold old rows."""
        self.begin()
        self.run("ROLLBACK")
        self.run("PRAGMA temp_store = FILE")  # VACUUM's copy of the whole database
        try:
            self.run("VACUUM")
        finally:
            self.run("PRAGMA temp_store = MEMORY")
        self.run(f"PRAGMA busy_timeout = {_READERS_MILLISECONDS}")
        [(busy, *_)] = Reader(self.open()).all("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise Unavailable(_BEING_READ)
        self.unlock()

    def interrupt(self) -> None:
        if self._connection:
            self._connection.interrupt()

    def close(self) -> None:
        """The last connection of all to be closed folds the WAL into the file."""
        connection, self._connection = self._connection, None
        wal, self._wal = self._wal, None
        if wal:
            wal.close()
        if connection:
            connection.close()

    def note(self, error: BaseException | None) -> None:
        """Writes nothing any more once `error`, or what it comes from, is a sync that failed."""
        if error and not self.broken and (disk.sync_failed(error) or disk.sync_failed(error.__cause__)):
            self.broken = True
            LOG.error(_BROKEN)

    def _rescue(self, wal: Wal, connection: sqlite3.Connection) -> None:
        try:
            wal.rescue(connection, self._path)
        except (sqlite3.DatabaseError, OSError) as error:
            LOG.error("What was stored last may be lost when Keva is killed: %s", error)

    def lock(self) -> None:
        try:
            taken = self._lock.acquire(self._patience)
        except OSError as error:
            raise Unavailable(disk.OTHERWISE, 1) from error
        self._patience = PATIENCE if taken else 0.0  # the next one need not wait as long in vain
        if not taken:
            raise Unavailable(_TAKEN, retry_after=1)

    def unlock(self) -> None:
        try:
            self._lock.release()
        except OSError as error:
            LOG.error("The lock beside the database could not be released: %s", error)
