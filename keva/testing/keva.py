"""The Keva object: a server for tests inside their own process."""

import json
import logging
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, overload

from keva.errors import NotFound
from keva.http.server import Server
from keva.identity import SCOPES
from keva.testing.faults import Drop, Fault, FaultSpec, Method, When
from keva.testing.journal import Request
from keva.testing.sandbox import THREADS, Sandbox
from keva.validation import validate

Ticket = dict[str, Any]


class Keva:
    """A server on threads of its own, with a throw-away database; `start` and `stop` it, or use `with`.

    Any number may run at once: they share nothing, and KEVA_ variables do not matter to them.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, api_key: str | None = None, rate_limit: int = 0) -> None:
        self._host, self._port, self._api_key, self._rate_limit = host, port, api_key, rate_limit

    def start(self) -> "Keva":
        with ExitStack() as undo:
            for logger in (logging.getLogger("keva"), logging.getLogger("waitress")):
                undo.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.ERROR)  # refusals are in the journal, and would be noise in a suite's own log
            folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="keva-"))
            self._sandbox = Sandbox(Path(folder, "keva.db"), self._api_key, self._rate_limit)
            undo.callback(self._sandbox.database.close)
            self._middleware = self._sandbox.middleware
            self._server = Server(
                self._middleware,
                host=self._host,
                port=self._port,
                threads=THREADS,
                on_refusal=self._middleware.note_refusal,
            )
            self._thread = threading.Thread(target=self._server.run, name="keva", daemon=True)
            self._thread.start()
            self._undo = undo.pop_all()
        return self

    def stop(self) -> None:
        self._middleware.close()
        self._server.stop()
        self._thread.join()
        self._undo.close()

    def __enter__(self) -> "Keva":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What a client needs

    @property
    def url(self) -> str:
        """The origin, without a path or a slash at its end."""
        return self._server.url

    @property
    def key(self) -> str:
        """An API key of both scopes and all workspaces."""
        return self._sandbox.key

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that a subprocess needs."""
        return {"KEVA_BASE_URL": self.url, "KEVA_API_KEY": self.key, "NO_PROXY": self._host, "no_proxy": self._host}

    def create_key(self, scopes: Iterable[str] = SCOPES, workspace: str | None = None) -> str:
        """Another key, of those scopes ("tickets:read", "tickets:write"), of all workspaces or the one with that id."""
        key: str = self._sandbox.create_key(scopes, workspace)["key"]
        return key

    def revoke_key(self, key: str) -> None:
        """Ends a key that `create_key` made; KeyError when there is none such."""
        try:
            self._sandbox.revoke_key(key)
        except NotFound as error:
            raise KeyError(error.sentence) from None

    def create_workspace(self, name: str = "Another workspace") -> str:
        """Another workspace; gives its id."""
        workspace_id: str = self._sandbox.create_workspace(name)["id"]
        return workspace_id

    # What the desk holds

    @overload
    def seed(self, tickets: Iterable[Mapping[str, Any]], /) -> list[Ticket]: ...
    @overload
    def seed(self, **fields: Any) -> Ticket: ...
    def seed(self, *tickets: Iterable[Mapping[str, Any]], **fields: Any) -> Any:
        """Makes a ticket of the fields, or one of each mapping, and gives it, or the list, as GET would.

        Any field of an import's line may be given, `messages` too; there is a default for the rest. ValueError, with
        nothing stored, for what does not fit.
        """
        given = [dict(ticket) for ticket in tickets[0]] if tickets else [fields]
        made = [json.loads(ticket) for ticket in self._sandbox.seed(given)]
        return made if tickets else made[0]

    def tickets(self, status: str | None = None, workspace_id: str | None = None) -> list[Ticket]:
        """All tickets, newest first."""
        found: list[Ticket] = json.loads(self._sandbox.tickets(status, workspace_id))
        return found

    def ticket(self, id: str) -> Ticket:
        """The ticket with that id; KeyError, which names those that there are, when there is none."""
        try:
            found: Ticket = json.loads(self._sandbox.ticket(id))
        except NotFound:
            raise self._no_such_ticket(id) from None
        return found

    def messages(self, id: str) -> list[dict[str, Any]]:
        """The messages of the ticket with that id, oldest first; KeyError when there is none."""
        try:
            found: list[dict[str, Any]] = json.loads(self._sandbox.messages(id))
        except NotFound:
            raise self._no_such_ticket(id) from None
        return found

    def reset(self) -> None:
        """As new: no tickets, keys or workspaces but the first ones, requests or faults; ids from 1, the real time.

        `url`, `key` and open connections stay. Calls that are held are let go, and store nothing.
        """
        self._middleware.reset()

    # What it was asked

    def requests(self, method: str | None = None, path: str | None = None) -> list[Request]:
        """The calls received since the reset, in order; `*` in `path` stands for any text without a slash."""
        return self._middleware.requests(method, path)

    def wait_for(
        self, method: str | None = None, path: str | None = None, count: int = 1, timeout: float = 5
    ) -> list[Request]:
        """Waits until there are `count` such calls and gives them; AssertionError when they don't come in time."""
        found = self._middleware.wait_for(method, path, count, timeout)
        if len(found) < count:
            wanted = f"{count} x {method or 'any method'} {path or 'any path'}"
            raise AssertionError(f"{wanted} did not come within {timeout} s, but {self.journal()}")
        return found

    def journal(self) -> str:
        """The calls received since the reset, a line each, for a report."""
        return "\n".join(map(repr, self.requests())) or "no call at all"

    # How it fails

    def fail(
        self,
        status: int = 500,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: Method | None = None,
        path: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        when: When = "before",
    ) -> Fault:
        """The next such call is answered with this: `body` is text, bytes, or made JSON; by default the one shape.

        `times` of None lasts until the reset; `skip` lets that many pass first; with `when="after"` the call takes
        effect and is answered so all the same.
        """
        given = None if headers is None else {name: str(value) for name, value in headers.items()}
        return self._arm(times, status=status, body=body, headers=given, method=method, path=path, skip=skip, when=when)

    def delay(
        self,
        seconds: float,
        *,
        method: Method | None = None,
        path: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        when: When = "before",
    ) -> Fault:
        """The next such call is held that long, before or after it takes effect."""
        return self._arm(times, delay=seconds, method=method, path=path, skip=skip, when=when)

    def drop(
        self,
        how: Drop = "reset",
        *,
        method: Method | None = None,
        path: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        when: When = "before",
    ) -> Fault:
        """The next such call's connection ends: by "reset", by "close", or "partial", in the middle of the answer."""
        return self._arm(times, drop=how, method=method, path=path, skip=skip, when=when)

    def faults(self) -> list[Fault]:
        """Those that are armed, oldest first, which is the one that answers."""
        return self._middleware.faults.all()

    def clear_faults(self) -> None:
        self._middleware.faults.clear()

    # What time it is

    @property
    def now(self) -> str:
        """The desk's time, as the API shows it."""
        return self._sandbox.clock.now

    def freeze(self, time: str | datetime | None = None) -> None:
        """Stops the desk's clock, now or at `time`: text as the API shows it, or an aware datetime."""
        self._sandbox.clock.freeze(time)

    def advance(self, seconds: float) -> None:
        """Moves the desk's clock on, stopped or not."""
        self._sandbox.clock.advance(seconds)

    def unfreeze(self) -> None:
        """The real time again."""
        self._sandbox.clock.unfreeze()

    def _arm(self, times: int | None, **fields: Any) -> Fault:
        given = {name: value for name, value in fields.items() if value is not None}
        return self._middleware.arm(validate(FaultSpec, given | {"times": times}))

    def _no_such_ticket(self, id: str) -> KeyError:
        ids = ", ".join(ticket["id"] for ticket in self.tickets()[:20])
        return KeyError(f"There is no ticket {id}, but {ids or 'none at all'}")
