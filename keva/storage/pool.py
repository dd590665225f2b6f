"""The connections that read, lent to one user at a time and given back at the end of a block."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable

from keva.errors import Unavailable
from keva.log import LOG
from keva.storage import disk
from keva.storage.transaction import Reader

CLOSED = "The desk is closed: start it again."
MOST_IDLE = 16  # connections kept for the next users: threads that come and go leave no more than these behind
_CLOSE_SECONDS = 5.0  # how long `close` waits for those who read
_INTERRUPT_SECONDS = 0.05  # between two interrupts: each ends one statement, and the next may have begun


class ReaderPool:
    """Lends connections made by `connect`.

    A connection is only ever closed by who uses it, or while nobody does: SQLite crashes the process when one is
    closed under a statement of another thread.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._idle: deque[sqlite3.Connection] = deque()
        self._lent: set[sqlite3.Connection] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._returned = threading.Condition(self._lock)

    def reader(self) -> "BorrowedReader":
        return BorrowedReader(self)

    def take(self) -> sqlite3.Connection:
        """A connection that is the caller's until `give_back`; Unavailable when there is none, as after `close`."""
        with self._lock:
            if self._idle:
                connection = self._idle.pop()
                self._lent.add(connection)
                return connection
        return self._open()

    def give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            self._lent.discard(connection)
            if self._closed or len(self._idle) >= MOST_IDLE or connection.in_transaction:
                connection.close()
                self._returned.notify_all()
            else:
                self._idle.append(connection)

    def close(self) -> None:
        """Interrupts those who read and waits for them, for a bounded time: each closes its own connection.

        Who is still reading then keeps it until the end of the process.
        """
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            end = time.monotonic() + _CLOSE_SECONDS
            while self._lent and time.monotonic() < end:
                for connection in self._lent:
                    connection.interrupt()
                self._returned.wait(_INTERRUPT_SECONDS)
            if self._lent:
                LOG.warning("%d reads did not end: their connections stay open.", len(self._lent))

    def _open(self) -> sqlite3.Connection:
        with self._lock:
            self._refuse_when_closed()
        try:
            connection = self._connect()
        except sqlite3.DatabaseError as error:
            raise disk.unavailable(error) from error
        with self._lock:
            if self._closed:
                connection.close()
            self._refuse_when_closed()
            self._lent.add(connection)
        return connection

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Unavailable(CLOSED)


class BorrowedReader(Reader):
    """A reader for the length of a `with` block, which lends it a connection of its own."""

    def __init__(self, pool: ReaderPool) -> None:  # no super: there is no connection until the block begins
        self._pool = pool

    def __enter__(self) -> "BorrowedReader":
        super().__init__(self._pool.take())
        return self

    def __exit__(self, *_: object) -> None:
        connection = self._connection
        self._end_cursors()
        del self._connection  # a use after the block fails, rather than meet another's
        self._pool.give_back(connection)
