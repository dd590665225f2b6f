"""What `--control` serves: the first desk, and further ones that are made over HTTP."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from keva.http.server import Server
from keva.storage.database import Database
from keva.testing.desk import Desk, DeskOptions
from keva.testing.desk_control import desk_endpoints
from keva.testing.desks import Desks
from keva.testing.sandbox import THREADS


class ControlService:
    """Listens from the start, and serves in `run` until `stop`; its files are in `folder`, but for a named `db`.

    `seed` stores what each desk begins with.
    """

    def __init__(
        self,
        folder: Path,
        options: DeskOptions,
        *,
        db: Path | None = None,
        api_key: str | None = None,
        seed: Callable[[Database], object] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        trusted_proxy: str | None = None,
        url_prefix: str = "",
    ) -> None:
        self._desks = Desks(folder, options)
        with ExitStack() as undo:
            self._desk = Desk(db or folder / "keva.db", api_key, options, desk_endpoints(self._desks))
            self.database, self.key = self._desk.database, self._desk.sandbox.key
            undo.callback(self._desk.close)
            self.database.claim()
            if seed:
                self._desk.sandbox.start_with(seed)
            self._server = Server(
                self._desk,
                host=host,
                port=port,
                threads=THREADS,
                trusted_proxy=trusted_proxy,
                url_prefix=url_prefix,
                on_refusal=self._desk.middleware.note_refusal,
            )
            self._undo = undo.pop_all()
        self.url = self._server.url
        self._desks.open_on(self._server, lambda: self._desk.sandbox.start)

    def run(self) -> None:
        """Serves until `stop`, and closes everything."""
        with self._undo:
            self._undo.callback(self._desks.close)
            self._desk.sandbox.dispatcher.start()
            self._server.run()

    def stop(self) -> None:
        """From any thread or signal handler, any number of times."""
        self._desk.stop_soon()
        self._desks.stop_soon()
        self._server.stop()
