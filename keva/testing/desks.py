"""Further desks of a server for tests, one for each worker of a suite: made, ended, and ended when they are idle."""

import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from keva import identity
from keva.clocks import elapsed
from keva.errors import NotFound, Unavailable
from keva.http.server import Server
from keva.log import LOG
from keva.testing.desk import Desk, DeskOptions
from keva.testing.snapshots import Snapshot

MOST = 250
IDLE_SECONDS = 600.0


@dataclass(frozen=True)
class OpenDesk:
    """One that is there: its id, where it is served, and its files."""

    id: str
    url: str
    desk: Desk
    folder: Path


class Desks:
    """Those beside the first one of a server: with files in `folder`, served by the same threads.

    Each begins as the first one did.
    """

    def __init__(self, folder: Path, options: DeskOptions) -> None:
        self._folder, self._options = folder, options
        self.have_pages = options.pages is not None
        self._server: Server
        self._start: Callable[[], Snapshot]
        self._desks: dict[str, OpenDesk] = {}
        self._changed = threading.Condition()
        self._being_made = 0

    def open_on(self, server: Server, start: Callable[[], Snapshot]) -> None:
        """From now on they can be made; `start` gives the state that each begins with."""
        self._server, self._start = server, start

    def make(self) -> OpenDesk:
        """One more; Unavailable when there are too many."""
        with self._changed:
            if len(self._desks) + self._being_made >= MOST:
                raise Unavailable(f"There are {MOST} desks already: end one that is no longer needed, or make fewer.")
            self._being_made += 1
        try:
            made = self._made()
        finally:
            with self._changed:
                self._being_made -= 1
        with self._changed:
            if not self._desks:
                threading.Thread(target=self._end_idle, name="keva-desks", daemon=True).start()
            self._desks[made.id] = made
        return made

    def end(self, desk_id: str) -> None:
        """Ends it and removes its files; NotFound when there is none such."""
        with self._changed:
            open_desk = self._desks.pop(desk_id, None)
            self._changed.notify_all()
        if open_desk is None:
            raise NotFound("There is no such desk: it was ended, or nobody called it for ten minutes.")
        self._close(open_desk)

    def stop_soon(self) -> None:
        """For the server to stop; for signal handlers."""
        for open_desk in list(self._desks.values()):
            open_desk.desk.stop_soon()

    def close(self) -> None:
        """Once the server has stopped."""
        with self._changed:
            left = list(self._desks.values())
            self._desks.clear()
            self._changed.notify_all()
        for open_desk in left:
            open_desk.desk.close()

    def _made(self) -> OpenDesk:
        folder = Path(mkdtemp(prefix="desk-", dir=self._folder))
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            desk = Desk(folder / "keva.db", identity.mint_key(), self._options, start=self._start())
            undo.callback(desk.close)
            url = self._server.add(desk, desk.middleware.note_refusal)
            undo.pop_all()
        desk.sandbox.dispatcher.start()
        return OpenDesk(identity.mint("desk"), url, desk, folder)

    def _close(self, open_desk: OpenDesk) -> None:
        open_desk.desk.stop_soon()
        open_desk.desk.sandbox.webhooks.forget()
        with open_desk.desk.middleware.between_tests():
            self._server.remove(open_desk.url)
        open_desk.desk.close()
        shutil.rmtree(open_desk.folder, ignore_errors=True)

    def _end_idle(self) -> None:
        """Runs while there are any."""
        while True:
            with self._changed:
                if not self._desks:
                    return
                since = {desk_id: _idle_since(open_desk.desk) for desk_id, open_desk in self._desks.items()}
                desk_id = min(since, key=since.__getitem__)
                if (left := since[desk_id] + IDLE_SECONDS - elapsed()) > 0:
                    self._changed.wait(left)
                    continue
            LOG.info("The desk %s was not called for %g seconds, and is ended.", desk_id, IDLE_SECONDS)
            with suppress(NotFound):  # meanwhile
                self.end(desk_id)


def _idle_since(desk: Desk) -> float:
    return elapsed() if desk.is_used else desk.last_used
