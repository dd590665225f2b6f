"""Sends what is under /inbox to the inbox, loaded when its first page is asked for, and the rest to the API."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

from keva import people
from keva.clocks import machine_time
from keva.errors import Unavailable
from keva.inbox.journal import Journal
from keva.inbox.site import Site
from keva.storage.database import Database

LINKS = {"inbox": "/inbox"}  # for the API's GET /
App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def way_in(database: Database) -> str:
    """The path that signs the first user in, once and within an hour; the inbox's own where that cannot be stored."""
    with suppress(Unavailable), database.write() as tx:  # a full disk keeps nobody from serving what there is
        if user := people.first(tx):
            token = people.make_link(tx, user, people.FIRST_LINK_SECONDS, asks_password=False, now=machine_time())
            return f"/inbox/sign-in/{token}"
    return "/inbox"


class InboxFront:
    """A WSGI application before the API's `app`: by the path it decides whose routes are asked, and nothing else."""

    def __init__(
        self, app: App, database: Database, site: Site, verbose: bool = False, journal: Journal | None = None
    ) -> None:
        self._app, self._parts = app, (database, site, verbose, journal)
        self._inbox: App | None = None
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/inbox") and path[6:7] in ("", "/"):
            return (self._inbox or self._loaded())(environ, start_response)
        if path == "/" and "text/html" in environ.get("HTTP_ACCEPT", ""):
            location = environ["SCRIPT_NAME"] + "/inbox"
            start_response("303 See Other", [("Location", location), ("Vary", "Accept"), ("Content-Length", "0")])
            return []
        return self._app(environ, start_response)

    def _loaded(self) -> App:
        """Its modules and templates are loaded only here: a desk whose inbox nobody opens does without them."""
        with self._lock:
            if self._inbox is None:
                self._inbox = import_module("keva.inbox.app").create_inbox(*self._parts)
        return self._inbox
