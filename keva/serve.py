"""Runs the service: opens the desk, listens, says where, and stops cleanly."""

import signal
import threading
from pathlib import Path

import click

from keva import identity, log
from keva.db import Desk
from keva.errors import Unavailable
from keva.server import Server
from keva.web import create_app

_LAST_USED_SECONDS = 10.0


def serve(db: Path, host: str, port: int, api_key: str | None, threads: int, rate_limit: int, verbose: bool) -> None:
    """Serves until SIGTERM or SIGINT; CannotStart or Invalid with the reason when it cannot."""
    log.to_stderr(verbose)
    fixed_key = identity.check_fixed_key(api_key) if api_key else None
    desk = Desk(db, identity.mint)
    try:
        desk.claim()
        keyring = identity.Keyring(fixed_key)
        server = Server(create_app(desk, keyring, rate_limit, verbose), host=host, port=port, threads=threads)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        _say_where(desk, server.url, fixed_key)
        with _LastUsed(desk, keyring):
            server.run()
    finally:
        desk.close()


def _say_where(desk: Desk, url: str, fixed_key: str | None) -> None:
    click.echo(f"Keva is listening on {url}")
    if fixed_key is None and not identity.list_keys(desk.read()):
        with desk.write() as tx:
            key = identity.create_key(tx, "first")["key"]
        click.echo(f"The first API key, which is not shown again: {key}")
        click.echo("Try it:")
        click.echo(f"  curl {url}/api/v1/tickets -H 'Authorization: Bearer {key}'")


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
