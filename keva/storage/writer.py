"""The life of a write: whose turn it is, the commit that writes share, and what each of them is told."""

# The life of a write, which is a `with` block:
#
#   1  It waits for its turn. The turn is this process's: one block at a time uses the connection.
#   2  When a batch is open, it joins it. Otherwise it begins one: it takes the lock between processes (FILE-lock beside
#      the database), looks whether the file is still in its place, and runs BEGIN IMMEDIATE.
#   3  SAVEPOINT: what it writes can be undone alone.
#   4  The block runs.
#   5  RELEASE or, after an exception in the block, ROLLBACK TO: the others in the batch lose nothing by it.
#   6  When another waits for the turn, the batch stays open for it. Otherwise COMMIT.
#   7  The batch is settled, and each `with` block in it ends: what it wrote is on disk, or an exception says it is not.
#   8  Whoever committed checkpoints the WAL when it is long.
#   9  Whoever committed lets go of the lock between processes; everyone lets go of the turn, after step 6 or 9.
#
# What always holds, whatever raises at whichever line:
#
#   A  A batch is settled once, as committed or as failed, and each of its writers is told so.
#   B  Nobody joins a batch that is settled: the next write begins another.
#   C  While nobody has the turn, either a batch is open (transaction open, lock held) or none is (neither).
#   D  Whoever waits for a batch to be settled settles it himself when nobody else comes to do it. Each wait has an end,
#      but for a disk that does not answer a COMMIT.
#
# `abort` is the one way out for whatever goes wrong outside the block: the batch fails, the transaction is rolled back,
# lock and turn are let go. Where an exception cuts even that short, turn.py tells when the turn is free again, and
# whoever takes it finds `_inside` still set, and lets the batch fail.
#
# So no commit and no checkpoint ever meets another, of whatever process: a command that writes beside a running server
# waits for the end of the server's batch, and the server for the end of the command's. Readers take no lock of ours: in
# WAL mode each statement sees the last commit, whoever is writing.

import sqlite3
from collections.abc import Callable

from keva.clocks import elapsed
from keva.errors import Unavailable
from keva.log import LOG
from keva.storage import disk
from keva.storage.batch import Batch, Outcome
from keva.storage.pool import CLOSED
from keva.storage.transaction import Transaction
from keva.storage.turn import Turn
from keva.storage.write_connection import WriteConnection

TURN_SECONDS = 10.0  # how long to wait for the turn, and for a batch in which nothing happens
_CLOSE_SECONDS = 2.0  # how long `close` waits for a block before it interrupts it, and then again
_HELP_SECONDS = 0.1  # between two looks of who waits for a batch
BUSY = "Another write has not ended: nothing was stored. Try again."
_UNKNOWN = "Memory ran out while writing: whether this was stored is not known. Look before you try again."


class Writer:
    """Writes through `connection`; `begin` makes the transaction that a block works with."""

    def __init__(self, connection: WriteConnection, begin: Callable[[sqlite3.Connection], Transaction]) -> None:
        self.trouble: str | None = None  # why the last write was not stored
        self.on_news: Callable[[], object] = lambda: None  # called once a transaction that has news is committed
        self._connection, self._begin = connection, begin
        self._turn = Turn()
        self._inside = False  # somebody has the turn, and has not let go of it in order
        self._batch = Batch()
        self._batch.settle("committed")
        self._closing = False

    @property
    def broken(self) -> bool:
        return self._connection.broken

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return self._turn.waiting

    def write(self) -> "Write":
        """A `with` block whose writes are safe on disk once it is left; an exception undoes them, and no others.

        Raises Unavailable when they cannot be stored now.
        """
        return Write(self)

    def overwrite_with(self, source: sqlite3.Connection) -> None:
        """Copies the source database over this one."""
        self._alone(lambda: self._connection.overwrite_with(source))

    def rewrite(self) -> None:
        """Leaves nothing in the files that was deleted; Unavailable where that cannot be."""
        self._alone(self._connection.rewrite)

    def _alone(self, work: Callable[[], None]) -> None:
        """Does something outside any transaction."""
        write = Write(self)
        try:
            self._take_turn(write)
            self._refuse_when_closed()
            self._end_open_batch()
            work()
            self._let_go(write)
        except BaseException as error:
            self.abort(write, error)
            raise

    def close(self) -> None:
        """Ends the open batch and closes the connection.

        A block that does not end is interrupted: its own thread closes the connection when it comes back, or nobody.
        """
        self._closing = True
        write = Write(self)
        if not self._turn.take(write, _CLOSE_SECONDS):
            self._connection.interrupt()
            if not self._turn.take(write, _CLOSE_SECONDS):
                LOG.warning("A write did not end: its connection stays open.")
                return
        try:
            self._end_open_batch()
            self._let_go(write)
        except BaseException as error:
            self.abort(write, error)
            if not isinstance(error, Unavailable):
                raise

    def tell_news(self) -> None:
        """What was committed stays so, whatever comes of it."""
        try:
            self.on_news()
        except Exception:
            LOG.exception("Webhooks were not told of an event, which is a bug; they go on with the next one.")

    # The steps of one write

    def enter(self, write: "Write") -> Transaction:
        """Steps 1 to 3."""
        self._take_turn(write)
        self._refuse_when_closed()
        if not self._batch.is_open:
            self._connection.begin()
            self._batch = Batch()
        write.batch = self._batch
        self._connection.run("SAVEPOINT one")
        return self._begin(self._connection.open())

    def leave(self, write: "Write", error: BaseException | None) -> None:
        """Steps 5 to 9, but for the wait; `error` is what the block raised."""
        self._note(error)
        if not self._turn.is_held_by(write):
            raise Unavailable(BUSY, 1)
        if error is None:
            self._connection.run("RELEASE one")
        else:
            self._undo(error)
        if self._closing or not self._batch.is_open or not self._turn.waiting:
            self._end_batch()
        self._let_go(write)

    def wait_for_batch(self, write: "Write") -> None:
        """Step 7. Raises the batch's failure."""
        batch, changes, since = write.batch, -1, elapsed()
        while not batch.wait(_HELP_SECONDS):
            self._help(write)
            if changes != self._connection.changes:
                changes, since = self._connection.changes, elapsed()
            elif elapsed() - since > TURN_SECONDS:
                batch.give_up(Unavailable(BUSY, 1))
        try:
            batch.raise_failure()
        except Unavailable as failure:
            self._note(failure)
            raise
        self.trouble = None

    def abort(self, write: "Write", error: BaseException) -> None:
        """The batch fails for `error`, unless its COMMIT has ended well; no transaction and no lock is left."""
        self._note(error)
        if self._turn.is_held_by(write):
            self._fail(error)
            self._let_go(write)

    # Their parts

    def _take_turn(self, write: "Write") -> None:
        if not self._turn.take(write, TURN_SECONDS):
            raise Unavailable(BUSY, 1)
        if self._inside:  # by whoever was torn out of it
            self._fail(Unavailable(disk.OTHERWISE, 1))
        self._inside = True

    def _refuse_when_closed(self) -> None:
        if self._closing:
            self._end_open_batch()
            raise Unavailable(CLOSED)

    def _undo(self, error: BaseException) -> None:
        """Undoes one write alone; raises when the whole batch is lost with it."""
        if not self._connection.in_transaction:  # SQLite has undone what the others wrote too
            raise error if isinstance(error, Unavailable) else Unavailable(disk.OTHERWISE, 1)
        self._connection.run("ROLLBACK TO one")
        self._connection.run("RELEASE one")

    def _end_open_batch(self) -> None:
        if self._batch.is_open:
            self._end_batch()

    def _end_batch(self) -> None:
        self._batch.begin_commit()
        self._connection.commit()
        self._batch.settle("committed")
        self._connection.finish()

    def _help(self, write: "Write") -> None:
        """Ends the batch for which nobody has come who would end it."""
        try:
            if self._turn.take(write):
                self._take_turn(write)
                self._end_open_batch()
                self._let_go(write)
        except BaseException as error:
            self.abort(write, error)
            if not isinstance(error, Exception):
                raise

    def _let_go(self, write: "Write") -> None:
        if self._closing:
            self._connection.close()
        self._inside = False
        self._turn.release(write)

    def _fail(self, error: BaseException) -> None:
        if self._batch.is_open:
            self._batch.settle(self._outcome(error))
        self._connection.undo()

    def _outcome(self, error: BaseException) -> Outcome:
        """Committed, where `error` came after SQLite had done so."""
        if self._batch.is_committing and not self._connection.in_transaction:
            if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
                return Unavailable(_UNKNOWN)
            if not isinstance(error, Unavailable):
                return "committed"
        if isinstance(error, Unavailable):
            return error
        LOG.error("Writes were undone: %r", error)
        failure = Unavailable(disk.OTHERWISE, 1)
        failure.__cause__ = error
        return failure

    def _note(self, error: BaseException | None) -> None:
        self._connection.note(error)
        if isinstance(error, Unavailable):
            self.trouble = error.sentence


class Write:
    """One `with` block. The `with` statement alone keeps it: once it is gone, so is its hold on the turn."""

    batch: Batch

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._transaction: Transaction | None = None

    def __enter__(self) -> Transaction:
        try:
            self._transaction = self._writer.enter(self)
            return self._transaction
        except BaseException as error:
            self._writer.abort(self, error)
            if isinstance(error, MemoryError):
                raise disk.unavailable(error) from error
            raise

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            if self._transaction:
                self._transaction.detach()
            self._writer.leave(self, error)
        except BaseException as raised:
            self._writer.abort(self, raised)
            if not isinstance(raised, Exception):
                raise
        if error is None:
            self._writer.wait_for_batch(self)
            if self._transaction and self._transaction.has_news:
                self._writer.tell_news()
