"""Group commit: writes that come at the same time are run one after the other by one thread, in one transaction."""

# A caller queues its write. One of them is the leader: it takes all that is queued, the group, runs it in one
# transaction, and wakes the others with what came of theirs. The others sleep meanwhile, so that the leader's
# statements need not take turns with them.
#
# Who leads, and when:
#
#   1  There is one leader at a time. What is queued while it works is for the next one.
#   2  Whoever queues as the last of those who are expected leads. Expected are all who wrote in the last group or were
#      queued at its end, since a client that was answered is likely to come back. One client alone is never waited for.
#   3  Otherwise whoever sees nobody follow for 2 ms leads with those who have come.
#
# What always holds:
#
#   A  Each write is stored whole or not at all. Its caller is told success only after the commit; after a failure at an
#      unlikely moment it is told that it is not known.
#   B  A write that fails takes no other with it. When it has changed nothing, it is passed over. Otherwise the group is
#      undone, and each of its writes is run again in a transaction of its own.
#   C  Whatever befalls the leader, each wait has an end, but for a disk that does not answer a COMMIT: once the leader
#      is gone without a word, whoever looks next tells itself so, or leads.
#
# There is no lock that an exception could leave locked: each step on the queue is one that Python does as a whole.

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from keva.clocks import elapsed
from keva.errors import Unavailable
from keva.log import LOG
from keva.storage import disk
from keva.storage.transaction import Transaction
from keva.storage.turn import Turn
from keva.storage.writer import BUSY, TURN_SECONDS, Writer

GATHER_SECONDS = 0.002
_LOOK_SECONDS = 0.25  # between two looks at whether there still is a leader
_UNKNOWN = "The write was cut short: whether this was stored is not known. Look before you try again."
T = TypeVar("T")


class GroupCommit:
    """Runs writes through `writer`; see above."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._queue: deque[_Queued] = deque()
        self._last: _Queued  # to be queued
        self._expected = 1
        self._leading = Turn()

    def run(self, work: Callable[[Transaction], T]) -> T:
        """What `work` gives, once all that it wrote is safe on disk.

        If `work` raises, or the transaction fails, nothing of it is kept, and this raises. `work` may be run twice, and
        by another thread, so it must have no effect but through its transaction.
        """
        queued = _Queued(work)
        self._queue.append(queued)
        self._last = last = queued
        if len(self._queue) >= self._expected and self._leading.take(queued):
            self._lead(queued)
        end = elapsed() + TURN_SECONDS
        while not queued.wait(GATHER_SECONDS if self._leading.is_free else _LOOK_SECONDS):
            last = self._look(queued, last)
            if elapsed() > end:
                self._give_up(queued)
        return queued.outcome()  # type: ignore[no-any-return]

    def _look(self, queued: "_Queued", last: "_Queued") -> "_Queued":
        """Leads when none has followed the `last` one; gives the one that is last now."""
        last_now = self._last
        if last_now is last or queued not in self._queue:
            if not self._leading.take(queued):
                return last_now
            if queued in self._queue:
                self._lead(queued)
            else:
                self._leading.release(queued)
                queued.settle(error=Unavailable(_UNKNOWN))  # the leader that took it is gone
        return last_now

    def _lead(self, leader: "_Queued") -> None:
        group: list[_Queued] = []
        try:
            while self._queue:
                group.append(self._queue.popleft())
            if group:  # another may have led just before
                self._store(group)
        finally:
            self._leading.release(leader)
            for queued in [*self._queue][:1]:  # it sleeps for as long as somebody leads
                queued.wake()

    def _store(self, group: list["_Queued"]) -> None:
        outcomes = []
        running = None
        try:
            with self._writer.write() as tx:
                for running in group:
                    outcomes.append(running.run(tx))
                running = None
        except Exception as error:
            if running and len(group) > 1:
                for queued in group:
                    self._store([queued])
                return
            if len(group) > 1:
                LOG.error("%d writes were undone: %r", len(group), error)
                error = error if isinstance(error, Unavailable) else Unavailable(disk.OTHERWISE, 1)
            outcomes = [(None, own or error) for _, own in outcomes] or [(None, error)] * len(group)
        self._expected = len(group) + len(self._queue)
        for queued, (result, failure) in zip(group, outcomes, strict=True):
            queued.settle(result, failure)

    def _give_up(self, queued: "_Queued") -> None:
        """Raises Unavailable, unless a leader has taken it."""
        try:
            self._queue.remove(queued)
        except ValueError:
            return
        raise Unavailable(BUSY, 1)


class _Queued:
    """A write, and what came of it."""

    def __init__(self, work: Callable[[Transaction], Any]) -> None:
        self._work = work
        self._outcome: tuple[Any, Exception | None] | None = None
        self._awake = threading.Lock()
        self._awake.acquire()

    def run(self, tx: Transaction) -> tuple[Any, Exception | None]:
        """What it gives, or its error if it changed nothing; any other error is raised."""
        before = tx.changes
        try:
            return self._work(tx), None
        except Unavailable:  # SQLite may have undone the whole transaction
            raise
        except Exception as error:
            if tx.changes != before:
                raise
            return None, error

    def settle(self, result: Any = None, error: Exception | None = None) -> None:
        """The first time counts."""
        self._outcome = self._outcome or (result, error)
        self.wake()

    def wake(self) -> None:
        if self._awake.locked():
            self._awake.release()

    def wait(self, seconds: float) -> bool:
        """True once it is settled; False when woken, or after so many seconds."""
        if not self._outcome:
            self._awake.acquire(timeout=seconds)
        return self._outcome is not None

    def outcome(self) -> Any:
        """What came of it."""
        assert self._outcome
        result, error = self._outcome
        if isinstance(error, Unavailable):  # several threads may be told of one failure
            raise Unavailable(error.sentence, error.retry_after) from error.__cause__
        if error:
            raise error
        return result
