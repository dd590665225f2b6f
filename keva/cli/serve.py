"""The command that serves: opens the desk, listens, says where, and stops cleanly."""

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from keva import identity, log
from keva.api.app import create_app
from keva.api.rate_limit import RateLimit
from keva.cli.common import takes
from keva.cli.settings import DB, SERVE_OPTIONS
from keva.errors import Unavailable
from keva.http.server import Server
from keva.storage.database import Database
from keva.testing.sandbox import THREADS, Sandbox

_LAST_USED_SECONDS = 10.0


@click.command()
@takes(DB, *SERVE_OPTIONS)
@click.pass_context
def serve(context: click.Context, /, control: bool, db: Path, threads: int, **options: Any) -> None:
    """Serve the API (the default command)."""
    log.to_stderr(options["verbose"])
    if control:
        given = context.get_parameter_source("db") is not ParameterSource.DEFAULT
        _serve_for_tests(db if given else None, **options)
    else:
        _serve(db, threads=threads, **options)


def _serve(db: Path, host: str, port: int, api_key: str | None, threads: int, rate_limit: int, verbose: bool) -> None:
    fixed_key = identity.check_fixed_key(api_key) if api_key is not None else None
    with _claimed(Database(db, identity.mint)) as database:
        keyring = identity.Keyring(fixed_key)
        limit = RateLimit(rate_limit, database.clock) if rate_limit else None
        server = Server(create_app(database, keyring, limit, verbose), host=host, port=port, threads=threads)
        _stop_on_signal(server.stop)
        click.echo(f"Keva is listening on {server.url}")
        with database.read() as reader:
            has_key = fixed_key is not None or identity.list_keys(reader)
        if not has_key:
            with database.write() as tx:
                _show_key(server.url, identity.create_key(tx, "first")["key"], "The first API key, not shown again")
        with _LastUsed(database, keyring):
            server.run()


def _serve_for_tests(
    db: Path | None, host: str, port: int, api_key: str | None, rate_limit: int, verbose: bool
) -> None:
    """Serves a desk for tests, with its control endpoints, from a throw-away file unless `db` names one."""
    with tempfile.TemporaryDirectory(prefix="keva-") as folder:
        sandbox = Sandbox(db or Path(folder, "keva.db"), api_key, rate_limit, verbose, control=True)
        middleware = sandbox.middleware
        with _claimed(sandbox.database):
            server = Server(middleware, host=host, port=port, threads=THREADS, on_refusal=middleware.note_refusal)

            def stop() -> None:
                middleware.close()
                server.stop()

            _stop_on_signal(stop)
            click.echo(f"Keva is listening on {server.url}")
            _show_key(server.url, sandbox.key, "A desk for tests, with the API key")
            server.run()


@contextmanager
def _claimed(database: Database) -> Iterator[Database]:
    """The database while this process is its one server."""
    try:
        database.claim()
        yield database
    finally:
        database.close()


def _stop_on_signal(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def _show_key(url: str, key: str, label: str) -> None:
    click.echo(f"{label}: {key}")
    click.echo(f"Try it: curl {url}/api/v1/tickets -H 'Authorization: Bearer {key}'")


class _LastUsed(threading.Thread):
    """Stores now and then when keys were last used, and once more at the end."""

    def __init__(self, database: Database, keyring: identity.Keyring) -> None:
        super().__init__(name="last used", daemon=True)
        self._database, self._keyring, self._ended = database, keyring, threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(_LAST_USED_SECONDS)
            try:
                self._keyring.store_last_used(self._database)
            except Unavailable as error:
                log.LOG.warning("When keys were last used could not be stored: %s", error.sentence)


COMMANDS = (serve,)
