"""Group commit: writes that come at the same time are run one after the other by one thread, in one transaction."""

# A caller queues its write and sleeps, unless it is the one that leads: it takes all that is queued, runs it in one
# transaction, and wakes the others with what came of theirs. Nobody else uses the database meanwhile, or the processor
# if all have queued: eight creates by one thread cost a third of what they cost by eight that take turns.
#
# Who leads, and when:
#
#   1  While somebody leads, nobody else does; what comes meanwhile is queued.
#   2  Whoever queues as the last of those who are expected leads. Expected are all who wrote in the last group or were
#      queued at its end, since a client that was answered is likely to come back. One client alone is never waited for.
#   3  Otherwise whoever sees nobody follow for 2 ms leads with those who have come.
#
# What always holds:
#
#   A  Each write is stored whole or not at all, and its caller is told so after the commit, or gets its error.
#   B  A write that fails takes no other with it. When it has changed nothing, it is passed over. Otherwise the whole
#      group is undone and each of its writes is run again in a transaction of its own.
#   C  Whatever befalls the one who leads, all of the group are woken, and another can lead.

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from keva.clocks import elapsed
from keva.errors import Unavailable
from keva.storage import disk
from keva.storage.transaction import Transaction
from keva.storage.writer import BUSY, TURN_SECONDS, Writer

GATHER_SECONDS = 0.002
T = TypeVar("T")


class GroupCommit:
    """Runs writes through `writer`; see above."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._queue: list[_Queued] = []
        self._arrived, self._expected = 0, 1
        self._is_led = False

    def run(self, work: Callable[[Transaction], T]) -> T:
        """What `work` gives, once all that it wrote is safe on disk; its exception, or Unavailable, undoes that.

        It may be run twice, and by another thread.
        """
        queued = _Queued(work)
        with self._lock:
            self._queue.append(queued)
            self._arrived = seen = self._arrived + 1
            leads = len(self._queue) >= self._expected and not self._is_led
            self._is_led = self._is_led or leads
        if leads:
            self._lead()
        since = elapsed()
        while not queued.wait(GATHER_SECONDS):
            seen = self._lead_if_nobody_follows(queued, seen)
            if elapsed() - since > TURN_SECONDS:
                self._give_up(queued)
        queued.raise_error()
        return queued.result  # type: ignore[no-any-return]

    def _lead_if_nobody_follows(self, queued: "_Queued", seen: int) -> int:
        """How many have come by now; none since those `seen`, if it leads."""
        with self._lock:
            arrived = self._arrived
            leads = not self._is_led and arrived == seen and queued in self._queue
            self._is_led = self._is_led or leads
        if leads:
            self._lead()
        return arrived

    def _lead(self) -> None:
        with self._lock:
            group, self._queue = self._queue, []
        try:
            self._store(group)
        finally:
            with self._lock:
                self._expected = len(group) + len(self._queue)
                self._is_led = False
            for queued in group:
                queued.wake()

    def _store(self, group: list["_Queued"]) -> None:
        try:
            with self._writer.write() as tx:
                for queued in group:
                    queued.run(tx)
        except _Undone as undone:
            if len(group) == 1:
                group[0].error = undone.__cause__
            else:
                for queued in group:
                    self._store_alone(queued)
        except BaseException as error:  # of the transaction itself, such as its commit
            for queued in group:
                queued.error = queued.error or error
            if not isinstance(error, Exception):
                raise

    def _store_alone(self, queued: "_Queued") -> None:
        try:
            with self._writer.write() as tx:
                queued.result = queued.work(tx)
            queued.error = None
        except Exception as error:
            queued.error = error

    def _give_up(self, queued: "_Queued") -> None:
        """Raises Unavailable, unless somebody is at it."""
        with self._lock:
            if queued not in self._queue:
                return
            self._queue.remove(queued)
        raise Unavailable(BUSY, 1)


class _Undone(Exception):
    """One of a group failed after it had changed something."""


class _Queued:
    """A write, and what came of it."""

    def __init__(self, work: Callable[[Transaction], Any]) -> None:
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def run(self, tx: Transaction) -> None:
        """Keeps the error of a write that changed nothing; raises _Undone for another."""
        before = tx.changes
        try:
            self.result = self.work(tx)
        except Exception as error:
            if isinstance(error, Unavailable) or tx.changes != before:  # SQLite may have undone all that was written
                raise _Undone from error
            self.error = error

    def wake(self) -> None:
        self._done.release()

    def wait(self, seconds: float) -> bool:
        return self._done.acquire(timeout=seconds)

    def raise_error(self) -> None:
        error = self.error
        if isinstance(error, Unavailable):  # several threads may be told of one failure
            raise Unavailable(error.sentence, error.retry_after) from error.__cause__
        if isinstance(error, Exception):
            raise error
        if error:
            raise Unavailable(disk.OTHERWISE, 1) from error
