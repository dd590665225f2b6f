"""The thread of one webhook: sends what is due to it, one event at a time."""

import threading
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from keva import events
from keva.clocks import elapsed
from keva.errors import Unavailable
from keva.log import LOG
from keva.storage.database import Database
from keva.webhooks import outbox, registry
from keva.webhooks.client import Client, Cut
from keva.webhooks.outbox import Outcome
from keva.webhooks.recorder import Recorder
from keva.webhooks.registry import Webhook

_AT_A_TIME = 100  # events looked up at once
_LONGEST_WITHOUT_A_LOOK = 1.0  # seconds: a command may have changed the webhook meanwhile
# After failures in a row it waits before the next event, so that a dead receiver costs next to nothing.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0  # seconds
_GIVING_WAY = 0.002  # seconds after each event while others happen: what is due may wait, and whoever calls may not
_CLOCK_SET_BACK = 1.0  # seconds that are no mere correction


class _Due(NamedTuple):
    """An event to try; `cursor` is how far the webhook has come with it, None when it was tried before."""

    event: int
    tries: int
    cursor: int | None = None
    wanted: bool = True


class Sender(threading.Thread):
    """Sends until `stop`, and begins nothing new once `is_stopping`."""

    def __init__(
        self, database: Database, recorder: Recorder, webhook: Webhook, is_stopping: Callable[[], bool]
    ) -> None:
        super().__init__(name=f"keva-{webhook.id}", daemon=True)
        self._database, self._recorder, self._is_stopping = database, recorder, is_stopping
        self._id, self._webhook, self._cursor = webhook.id, webhook, webhook.cursor
        self._client = Client()
        self._news, self._stopped = threading.Event(), threading.Event()
        self._failures = 0  # in a row
        self._looked_at = inf  # by the desk's clock: it may have been set back while nothing ran

    def wake(self) -> None:
        """Something may be due."""
        self._news.set()

    def stop(self) -> None:
        """Ends it after the try under way."""
        self._stopped.set()
        self._news.set()

    def cut(self) -> None:
        """Ends it at once: the try under way counts as not tried."""
        self.stop()
        self._client.cut()

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._news.clear()
                if not self._send_what_is_due():
                    self._news.wait()
        except Cut:
            LOG.info("Webhook %s: a try was cut off, and counts as not made.", self._id)
        except Exception:
            LOG.exception("Webhook %s failed, which is a bug; it goes on in a moment.", self._id)
        finally:
            self._client.close()

    def _send_what_is_due(self) -> bool:
        """False when nothing was, or when it cannot be now."""
        try:
            due = self._look()
            over = elapsed() + _LONGEST_WITHOUT_A_LOOK
            for one in due:
                if self._stopped.is_set() or self._is_stopping() or not self._send(one):
                    return False
                if elapsed() > over:
                    break
        except Unavailable as error:
            LOG.warning("Webhook %s waits: %s", self._id, error.sentence)
            return False
        return bool(due)

    def _look(self) -> list[_Due]:
        """What is due now: first what is to be tried again, then what happened since."""
        # Before the database is asked: what is stored after that is no longer due there either.
        unstored = self._recorder.events_of(self._id)
        now = self._database.clock()
        with self._database.read() as reader:
            webhook = registry.find(reader, self._id, now)
            if webhook is None or webhook.off_because:
                return []
            again = outbox.due(reader, webhook, now, _AT_A_TIME + len(unstored))
            new = outbox.after(reader, self._cursor, _AT_A_TIME)
        if now < self._looked_at - _CLOCK_SET_BACK:
            with self._database.write() as tx:
                outbox.set_clock_back(tx, webhook, now)
        self._webhook, self._looked_at = webhook, now
        return [_Due(event, tries + 1) for event, tries in again if event not in unstored] + [
            _Due(event, 1, event, webhook.wants(kind, workspace)) for event, kind, workspace in new
        ]

    def _send(self, due: _Due) -> bool:
        """Sends it, unless it is not wanted; False when the receiver wants no more."""
        webhook, cursor = self._webhook, self._cursor if due.cursor is None else due.cursor
        if not due.wanted:
            self._recorder.pass_over(self._id, cursor)
            self._cursor = cursor
            return True
        with self._database.read() as reader:
            event = events.find(reader, due.event)
        if webhook.url is None or event is None:
            return False
        answer = self._client.post(webhook.url, event.id, event.body, webhook.secrets)
        outcome = outbox.outcome(webhook, event.seq, due.tries, answer, self._database.clock())
        is_off = outbox.switches_off(outcome)
        self._recorder.add(outcome, cursor, until_stored=is_off)
        self._cursor = cursor
        self._note(outcome)
        if self._news.is_set():
            self._stopped.wait(_GIVING_WAY)
        return not is_off

    def _note(self, outcome: Outcome) -> None:
        """Logs when it begins to fail and when that ends, and waits a little after a failure."""
        if outcome.error is None:
            if self._failures:
                LOG.warning("Webhook %s delivers again.", self._id)
            self._failures = 0
            return
        if not self._failures:
            LOG.warning("Webhook %s fails: %s.", self._id, outcome.error)
        self._failures += 1
        self._stopped.wait(min(_FIRST_PAUSE * 2 ** min(self._failures, 10), _LONGEST_PAUSE))
