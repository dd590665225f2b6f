"""Sends events to all webhooks of a database: a thread for each, and one that starts, ends and serves them."""

import threading
from collections.abc import Sequence

from keva.clocks import elapsed as now
from keva.errors import Unavailable
from keva.log import LOG
from keva.storage.database import Database
from keva.webhooks import outbox, registry
from keva.webhooks.recorder import Recorder
from keva.webhooks.registry import Webhook
from keva.webhooks.sender import Sender

STOP_SECONDS = 4.0  # for the tries under way
_LAST_WORDS_SECONDS = 0.5
_LOOK_SECONDS = 1.0  # within which is noticed what a command changed, and what is due again
_FORGET_SECONDS = 3600.0


class Dispatcher:
    """Only for the one server of `database`. It runs while there are webhooks, and costs nothing while there are none.

    `start` looks whether there are any, `wake` tells of a new event, and `close` ends it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._running: _Supervisor | None = None
        self._stop_at: float | None = None
        database.writer.on_news = self.wake

    def start(self) -> None:
        with self._database.snapshot() as reader:
            if registry.with_urls(reader, self._database.clock()):
                self.wake()

    def wake(self, look: bool = False) -> None:
        """Something may be due; after its commit. With `look`, there may be another webhook too."""
        if self._stop_at is not None:
            return
        with self._lock:
            if not (self._running and self._running.wake(look)):
                self._running = _Supervisor(self._database)
                self._running.start()

    def nudge(self) -> None:
        """The clock was set, or a webhook is gone."""
        if self._running:
            self.wake(look=True)

    def stop_soon(self) -> None:
        """From now on no try begins, and `close` waits for those under way until 4 s from now; for signal handlers."""
        self._stop_at = self._stop_at or now() + STOP_SECONDS
        if running := self._running:
            running.is_stopping = True

    def close(self) -> None:
        """Ends it, and stores what came of the last tries."""
        self.stop_soon()
        if self._running and self._stop_at:
            self._running.end(self._stop_at - now())

    def forget(self) -> None:
        """Ends the tries under way at once, as if none of them had been; `wake` begins anew."""
        with self._lock:
            if self._running:
                self._running.end(0, store=False)
                self._running = None


class _Supervisor(threading.Thread):
    """One life of a dispatcher: from the first webhook until there is none any more, or `end`."""

    def __init__(self, database: Database) -> None:
        super().__init__(name="keva-webhooks", daemon=True)
        self.is_stopping = False
        self._database, self._recorder = database, Recorder(database)
        self._senders: dict[str, Sender] = {}
        self._lock = threading.Lock()
        self._has_news = self._is_over = False
        self._next_look = self._next_cleaning = 0.0

    def wake(self, look: bool) -> bool:
        """False when it is over, so that another is needed."""
        with self._lock:
            self._has_news = True
            for sender in self._senders.values():
                sender.wake()
            if look:
                self._next_look = 0.0
                self._recorder.interrupt()
            return not self._is_over

    def end(self, seconds: float, store: bool = True) -> None:
        """Ends all of it; tries under way get so many seconds."""
        with self._lock:
            self.is_stopping = True
            senders = list(self._senders.values())
        for sender in senders:
            sender.stop()
        _join(senders, seconds)
        for sender in senders:
            sender.cut()
        self._recorder.close()
        _join([*senders, self], _LAST_WORDS_SECONDS)
        if store:
            self._recorder.store()

    def run(self) -> None:
        try:
            while not self._recorder.is_closed and not self._is_over:
                self._recorder.wait(self._next_look - now())
                if not self._recorder.is_closed:
                    self._recorder.store()
                    self._look_now_and_then()
        except Exception:
            LOG.exception("Webhooks failed, which is a bug; they go on with the next event.")
        finally:
            with self._lock:
                self._is_over = True
                for sender in self._senders.values():
                    sender.stop()

    def _look_now_and_then(self) -> None:
        if now() < self._next_look:
            return
        self._next_look = now() + _LOOK_SECONDS  # also when stopping: `run` would spin otherwise
        if self.is_stopping:
            return
        try:
            self._look()
            self._forget_settled()
        except Unavailable as error:
            LOG.warning("Webhooks wait: %s", error.sentence)

    def _look(self) -> None:
        """Sees to it that each webhook has its sender, and no other; is over when there is none."""
        self._has_news = False
        with self._database.snapshot() as reader:
            webhooks = {webhook.id: webhook for webhook in registry.with_urls(reader, self._database.clock())}
        with self._lock:
            if self.is_stopping:
                return
            for gone in self._senders.keys() - webhooks.keys():
                self._senders.pop(gone).stop()
            for webhook in webhooks.values():
                self._wake_or_start(webhook)
            self._is_over = not self._senders and not self._has_news

    def _wake_or_start(self, webhook: Webhook) -> None:
        sender = self._senders.get(webhook.id)
        if sender and sender.is_alive():
            sender.wake()
        else:
            sender = Sender(self._database, self._recorder, webhook, lambda: self.is_stopping)
            self._senders[webhook.id] = sender
            sender.start()

    def _forget_settled(self) -> None:
        if now() < self._next_cleaning:
            return
        with self._database.write() as tx:
            forgotten = outbox.forget_settled(tx, self._database.clock())
        if not forgotten:
            self._next_cleaning = now() + _FORGET_SECONDS


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    over = now() + seconds
    for thread in threads:
        thread.join(max(0.0, over - now()))
