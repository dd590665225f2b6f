"""The command that serves: opens the desk, listens, says where, and stops cleanly."""

import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from keva import identity, log
from keva.api.app import create_app
from keva.api.rate_limit import RateLimit
from keva.cli import streams
from keva.cli.common import takes, throw_away_folder
from keva.cli.log_output import to_stderr
from keva.cli.seeding import stored_from
from keva.cli.settings import DB, SERVE_OPTIONS
from keva.cli.signals import Signals
from keva.errors import Unavailable
from keva.http.server import Server
from keva.inbox.front import LINKS, InboxFront, way_in
from keva.inbox.site import Site
from keva.storage.database import Database
from keva.testing.desk import DeskOptions
from keva.testing.service import ControlService
from keva.webhooks.dispatcher import Dispatcher

_LAST_USED_SECONDS = 10.0


@click.command("serve")
@takes(DB, *SERVE_OPTIONS)
@click.pass_context
def serve_command(
    context: click.Context,
    /,
    control: bool,
    db: Path,
    threads: int,
    site: str | None,
    no_inbox: bool,
    seed: Path | None,
    verbose: bool,
    **options: Any,
) -> None:
    """Serve the API and the inbox (the default command)."""
    if seed and not control:
        raise click.UsageError("--seed (KEVA_SEED) is for a desk for tests: give --control too, or import the file.")
    address = Site(options["host"], site)
    pages = None if no_inbox else address
    options["url_prefix"] = address.path
    with to_stderr(verbose):
        if control:
            given = context.get_parameter_source("db") is not ParameterSource.DEFAULT
            _serve_for_tests(context.obj, db if given else None, pages, seed=seed, verbose=verbose, **options)
        else:
            _serve(context.obj, db, pages, threads=threads, verbose=verbose, **options)


def _serve(
    signals: Signals,
    db: Path,
    pages: Site | None,
    host: str,
    port: int,
    api_key: str | None,
    threads: int,
    rate_limit: int,
    trusted_proxy: str | None,
    url_prefix: str,
    verbose: bool,
) -> None:
    fixed_key = identity.check_fixed_key(api_key) if api_key is not None else None
    with _claimed(Database(db, identity.mint)) as database:
        keyring = identity.Keyring(fixed_key)
        limit = RateLimit(rate_limit, database.clock) if rate_limit else None
        api = create_app(database, keyring, limit, verbose, more_links=LINKS if pages else None)
        app = InboxFront(api, database, pages, verbose) if pages else api
        server = Server(app, host=host, port=port, threads=threads, trusted_proxy=trusted_proxy, url_prefix=url_prefix)
        dispatcher = Dispatcher(database)
        signals.call(dispatcher.stop_soon, server.stop)
        # A link that signs in is for somebody at the terminal, not for a file that keeps what a service says.
        inbox = _inbox_line(database, pages, server.url) if pages and _on_a_terminal() else []
        with database.read() as reader:
            needs_key = fixed_key is None and not identity.list_keys(reader)
        if needs_key:
            _announce_with_first_key(server.url, database, inbox)
        else:
            _announce(server.url, *inbox)
        with _LastUsed(database, keyring), closing(dispatcher):
            dispatcher.start()
            server.run()


def _serve_for_tests(
    signals: Signals,
    db: Path | None,
    pages: Site | None,
    host: str,
    port: int,
    api_key: str | None,
    rate_limit: int,
    trusted_proxy: str | None,
    url_prefix: str,
    seed: Path | None,
    verbose: bool,
) -> None:
    """Serves a desk for tests, with its control endpoints, from a throw-away file unless `db` names one."""
    with throw_away_folder(signals) as folder:
        with stored_from(seed, folder) as store:
            service = ControlService(
                folder,
                DeskOptions(pages, rate_limit, verbose),
                db=db,
                api_key=api_key,
                seed=store,
                host=host,
                port=port,
                trusted_proxy=trusted_proxy,
                url_prefix=url_prefix,
            )
        signals.call(service.stop)
        inbox = _inbox_line(service.database, pages, service.url) if pages else []
        key = _told_of_key(service.url, service.key, "A desk for tests, with the API key")
        _announce(service.url, *key, *inbox)
        service.run()


@contextmanager
def _claimed(database: Database) -> Iterator[Database]:
    """The database while this process is its one server."""
    try:
        database.claim()
        yield database
    finally:
        database.close()


def _announce(url: str, *more: str) -> None:
    """Says where the server listens, and more; it serves even if nobody reads that."""
    try:
        streams.show("\n".join([f"Keva is listening on {url}", *more]))
    except (streams.OutputFailed, BrokenPipeError):
        log.LOG.warning("Keva is listening on %s. Standard output could not be written.", url)


def _announce_with_first_key(url: str, database: Database, more: list[str]) -> None:
    """In one piece, so that whoever reads the first line has the key too; one that cannot be shown is not stored."""
    try:
        with database.write() as tx:
            key = identity.create_key(tx, "first")["key"]
            lines = _told_of_key(url, key, "The first API key, not shown again")
            streams.show("\n".join([f"Keva is listening on {url}", *lines, *more]))
    except (streams.OutputFailed, BrokenPipeError):
        log.LOG.warning(
            "Keva is listening on %s. Standard output could not be written, so that the first API key was not made: "
            "make one with 'keys create --db %s'.",
            url,
            database.path,
        )


def _told_of_key(url: str, key: str, label: str) -> list[str]:
    return [f"{label}: {key}", f"Try it: curl {url}/api/v1/tickets -H 'Authorization: Bearer {key}'"]


def _inbox_line(database: Database, pages: Site, url: str) -> list[str]:
    """The line with a link that signs the first user in, for whoever sees this terminal."""
    # Whoever listens on all addresses is found by a browser of this machine on its own.
    here = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    return [f"Inbox: {pages.url or here}{way_in(database)}"]


def _on_a_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


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


COMMANDS = (serve_command,)
