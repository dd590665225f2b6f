"""Runs the service: opens the desk, listens, says where, and stops cleanly."""

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from keva import control, identity, log
from keva.db import Desk
from keva.errors import Unavailable
from keva.limit import RateLimit
from keva.rehearsal import THREADS, Rehearsal
from keva.server import Server
from keva.web import create_app

_LAST_USED_SECONDS = 10.0


def serve(db: Path, host: str, port: int, api_key: str | None, threads: int, rate_limit: int, verbose: bool) -> None:
    """Serves until SIGTERM or SIGINT; CannotStart or Invalid with the reason when it cannot."""
    log.to_stderr(verbose)
    fixed_key = identity.check_fixed_key(api_key) if api_key is not None else None
    with _served(Desk(db, identity.mint)) as desk:
        keyring = identity.Keyring(fixed_key)
        limit = RateLimit(rate_limit, desk.clock) if rate_limit else None
        server = Server(create_app(desk, keyring, limit, verbose), host=host, port=port, threads=threads)
        _stop_on_signal(server.stop)
        click.echo(f"Keva is listening on {server.url}")
        if fixed_key is None and not identity.list_keys(desk.read()):
            with desk.write() as tx:
                _show_key(server.url, identity.create_key(tx, "first")["key"], "The first API key, not shown again")
        with _LastUsed(desk, keyring):
            server.run()


def serve_for_tests(db: Path | None, host: str, port: int, api_key: str | None, rate_limit: int, verbose: bool) -> None:
    """Serves a desk for tests, with its control endpoints, from a throw-away file unless `db` names one."""
    log.to_stderr(verbose)
    with tempfile.TemporaryDirectory(prefix="keva-") as folder:
        rehearsal = Rehearsal(db or Path(folder, "keva.db"), api_key, rate_limit, verbose, control.calls)
        with _served(rehearsal.desk):
            server = Server(
                rehearsal.stage, host=host, port=port, threads=THREADS, on_refusal=rehearsal.stage.note_refusal
            )

            def stop() -> None:
                rehearsal.stage.close()
                server.stop()

            _stop_on_signal(stop)
            click.echo(f"Keva is listening on {server.url}")
            _show_key(server.url, rehearsal.key, "A desk for tests, with the API key")
            server.run()


@contextmanager
def _served(desk: Desk) -> Iterator[Desk]:
    try:
        desk.claim()
        yield desk
    finally:
        desk.close()


def _stop_on_signal(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def _show_key(url: str, key: str, what: str) -> None:
    click.echo(f"{what}: {key}")
    click.echo(f"Try it: curl {url}/api/v1/tickets -H 'Authorization: Bearer {key}'")


class _LastUsed(threading.Thread):
    """Stores now and then when keys were last used, and once more at the end."""

    def __init__(self, desk: Desk, keyring: identity.Keyring) -> None:
        super().__init__(name="last used", daemon=True)
        self._desk, self._keyring, self._ended = desk, keyring, threading.Event()

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
                self._keyring.store_last_used(self._desk)
            except Unavailable as error:
                log.LOG.warning("When keys were last used could not be stored: %s", error.sentence)
