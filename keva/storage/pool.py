"""The connections that read, lent to one user at a time and given back at the end of a block."""

import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from keva.clocks import elapsed, sleep
from keva.errors import Unavailable
from keva.log import LOG
from keva.storage import disk
from keva.storage.transaction import Reader

CLOSED = "The desk is closed: start it again."
MOST_IDLE = 16  # connections kept for the next users: threads that come and go leave no more than these behind
_CLOSE_SECONDS = 5.0  # how long `close` waits for those who read
_LOOK_SECONDS = 0.01  # between two looks at who still reads: an interrupt ends one statement, and another may begin
_SHARE_SECONDS = 5.0  # how long to wait for another's connection when no more can be opened


class ReaderPool:
    """Lends connections made by `connect`.

    A connection is only ever closed by who uses it, or while nobody does: SQLite crashes the process when one is
    closed under a statement of another thread. Each step on the two collections is one of the interpreter's own, so
    no lock is needed, which an exception from outside could leave locked.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._idle: deque[sqlite3.Connection] = deque()
        self._lent: set[sqlite3.Connection] = set()
        self._closed = False

    def reader(self) -> "BorrowedReader":
        return BorrowedReader(self)

    def take(self) -> sqlite3.Connection:
        """A connection that is the caller's until `give_back`; Unavailable when there is none, as after `close`."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open()
        self._lent.add(connection)
        if self._closed:
            self.give_back(connection)
            raise Unavailable(CLOSED)
        return connection

    def give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed or len(self._idle) >= MOST_IDLE or connection.in_transaction:
            connection.close()
        else:
            self._idle.append(connection)
        self._lent.discard(connection)
        if self._closed:  # meanwhile
            self._close_idle()

    def close(self) -> None:
        """Interrupts those who read and waits for them, for a bounded time: each closes its own connection.

        Who is still reading then keeps it until the end of the process.
        """
        self._closed = True
        self._close_idle()
        end = elapsed() + _CLOSE_SECONDS
        while self._lent and elapsed() < end:
            for connection in list(self._lent):
                with suppress(sqlite3.ProgrammingError):  # closed meanwhile
                    connection.interrupt()
            sleep(_LOOK_SECONDS)
        if self._lent:
            LOG.warning("%d reads did not end: their connections stay open.", len(self._lent))

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise Unavailable(CLOSED)
        try:
            return self._connect()
        except (sqlite3.DatabaseError, MemoryError) as error:
            # Where no file descriptor is left for one more, as when clients hold them all, those that there are do.
            connection = self._next_returned()
            if connection is None:
                raise disk.unavailable(error) from error
            return connection

    def _next_returned(self) -> sqlite3.Connection | None:
        end = elapsed() + _SHARE_SECONDS
        while True:
            hopeless = self._closed or not self._lent or elapsed() > end
            with suppress(IndexError):
                return self._idle.pop()
            if hopeless:  # looked at before the last look: what is given back is idle first, and then not lent
                return None
            sleep(_LOOK_SECONDS)

    def _close_idle(self) -> None:
        while self._idle:
            with suppress(IndexError):  # another closes them too
                self._idle.pop().close()


class BorrowedReader(Reader):
    """A reader for the length of a `with` block, which lends it a connection of its own."""

    def __init__(self, pool: ReaderPool) -> None:  # no super: there is no connection until the block begins
        self._pool = pool

    def __enter__(self) -> "BorrowedReader":
        super().__init__(self._pool.take())
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.give_back(self.detach())
