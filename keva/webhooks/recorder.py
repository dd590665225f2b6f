"""What came of tries, stored several at a time: three hundred deliveries a second must not cost as many syncs."""

import threading

from keva.clocks import elapsed as now
from keva.errors import Unavailable
from keva.log import LOG
from keva.storage.database import Database
from keva.webhooks import outbox
from keva.webhooks.outbox import Outcome

_MOST = 100  # outcomes that wait: as many may be sent twice after a kill
_LONGEST = 0.05  # seconds that one waits
_PASSED_OVER = 1000  # events that no try tells of
_AFTER_A_FAILURE = 1.0  # seconds


class Recorder:
    """Takes what came of tries from the senders' threads; another calls `wait` and `store` in turn."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._outcomes: list[Outcome] = []
        self._cursors: dict[str, int] = {}
        self._passed_over = 0
        self._store_at: float | None = None
        self._is_failing = False  # to store
        self._is_interrupted = False
        self.is_closed = False

    def add(self, outcome: Outcome, cursor: int, until_stored: bool = False) -> None:
        """Takes it, together with how far its webhook has come.

        Waits while there are too many, or until this one is stored.
        """
        with self._changed:
            self._outcomes.append(outcome)
            self._cursors[outcome.webhook_id] = cursor
            if len(self._outcomes) >= _MOST and not self._is_failing:
                self._store_by(now())
            elif self._store_at is None:  # whoever stores waits for that moment, and need not hear of the next ones
                self._store_by(now() + _LONGEST)
            while not (self.is_closed or self._has_room(outcome if until_stored else None)):
                self._changed.wait()

    def pass_over(self, webhook_id: str, cursor: int) -> None:
        """Takes how far a webhook has come past an event that it does not want."""
        with self._changed:
            self._cursors[webhook_id] = cursor
            self._passed_over += 1
            if self._passed_over >= _PASSED_OVER and self._store_at is None:
                self._store_by(now())

    def events_of(self, webhook_id: str) -> set[int]:
        """Those that were tried, of which the database does not know yet."""
        with self._changed:
            return {outcome.event for outcome in self._outcomes if outcome.webhook_id == webhook_id}

    def wait(self, seconds: float) -> None:
        """Until something is to be stored, `interrupt`, `close`, or so many seconds are over."""
        over = now() + seconds
        with self._changed:
            while not (self.is_closed or self._is_interrupted or self._is_time()) and (left := over - now()) > 0:
                self._changed.wait(left if self._store_at is None else min(left, max(0.0, self._store_at - now())))
            self._is_interrupted = False

    def interrupt(self) -> None:
        """Ends `wait`."""
        with self._changed:
            self._is_interrupted = True
            self._changed.notify_all()

    def store(self) -> None:
        """Stores what there is, or keeps it for a later try."""
        with self._changed:
            outcomes, cursors = list(self._outcomes), dict(self._cursors)
            self._store_at, self._passed_over = None, 0
        if not cursors:
            return
        try:
            with self._database.write() as tx:
                outbox.store(tx, outcomes, cursors)
        except Unavailable as error:
            if not self._is_failing:
                LOG.warning("What was delivered cannot be stored, and no more is sent until it is: %s", error.sentence)
            with self._changed:
                self._is_failing, self._store_at = True, now() + _AFTER_A_FAILURE
            return
        self._forget(outcomes, cursors)

    def close(self) -> None:
        """Nobody waits here any more."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def _forget(self, outcomes: list[Outcome], cursors: dict[str, int]) -> None:
        with self._changed:
            self._is_failing = False
            del self._outcomes[: len(outcomes)]
            # A retry moves no cursor: one that came meanwhile is stored with the same cursor again.
            waiting = {outcome.webhook_id for outcome in self._outcomes}
            self._cursors = {
                id: cursor for id, cursor in self._cursors.items() if id in waiting or cursors.get(id) != cursor
            }
            if self._outcomes:
                self._store_at = self._store_at or now() + _LONGEST
            self._changed.notify_all()

    def _store_by(self, moment: float) -> None:
        self._store_at = moment
        self._changed.notify_all()

    def _has_room(self, unless: Outcome | None) -> bool:
        return len(self._outcomes) < _MOST and unless not in self._outcomes

    def _is_time(self) -> bool:
        return self._store_at is not None and self._store_at <= now()
