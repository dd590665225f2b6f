"""The Keva object: a server for tests inside their own process."""

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Unpack, overload

from keva.errors import Invalid, NotFound
from keva.files import real_files
from keva.http.server import Server
from keva.models import Status
from keva.testing.control import NewWorkspace
from keva.testing.faults import Drop, Fault, FaultSpec, Method, When
from keva.testing.journal import Request
from keva.testing.middleware import FaultMiddleware
from keva.testing.proxies import environ_for, hint_at_proxy
from keva.testing.sandbox import THREADS, Sandbox
from keva.testing.scratch import scratch_folder
from keva.testing.seeds import seed_ticket
from keva.testing.snapshots import Snapshot
from keva.testing.types import Message, Scope, Ticket, TicketFields
from keva.testing.waiting import check_wait
from keva.testing.webhook_members import WebhookMembers
from keva.validation import validate

_NOT_STARTED = "This Keva was not started: call start(), or use it in a with block."
_STOPPED = "This Keva was stopped: start it again, or use it before it is stopped."


class Keva(WebhookMembers):
    """A server on threads of its own, with a throw-away database; `start` and `stop` it, or use `with`.

    Any number may run at once: they share nothing, and KEVA_ variables do not matter to them.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, api_key: str | None = None, rate_limit: int = 0) -> None:
        self._host, self._port, self._api_key, self._rate_limit = host, port, api_key, rate_limit
        self._running: _Running | None = None
        self._was_started = False

    def start(self) -> "Keva":
        """Starts it, with nothing on it; RuntimeError when it runs already."""
        if self._running:
            raise RuntimeError("This Keva runs already: use it, or stop it first.")
        with real_files(), ExitStack() as undo:
            for logger in (logging.getLogger("keva"), logging.getLogger("waitress")):
                undo.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.ERROR)  # refusals are in the journal, and would be noise in a suite's own log
            folder = undo.enter_context(scratch_folder())
            sandbox = Sandbox(folder / "keva.db", self._api_key, self._rate_limit)
            undo.callback(sandbox.database.close)
            undo.callback(sandbox.dispatcher.forget)
            server = Server(
                sandbox.middleware,
                host=self._host,
                port=self._port,
                threads=THREADS,
                on_refusal=sandbox.middleware.note_refusal,
            )
            thread = threading.Thread(target=server.run, name="keva", daemon=True)
            thread.start()
            self._running, self._was_started = _Running(sandbox, server, thread, undo.pop_all()), True
        return self

    def stop(self) -> None:
        """Stops it and removes all that it held; once it is stopped, stopping does nothing."""
        if not self._was_started:
            raise RuntimeError(_NOT_STARTED)
        running, self._running = self._running, None
        if running:
            with real_files():
                running.stop()

    def __enter__(self) -> "Keva":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What a client needs

    @property
    def url(self) -> str:
        """The origin, without a path or a slash at its end."""
        return self._now.server.url

    @property
    def key(self) -> str:
        """An API key of both scopes and all workspaces."""
        return self._sandbox.key

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that a subprocess needs; NO_PROXY goes on from what it is here."""
        return environ_for(self.url, self.key)

    def create_key(
        self, scopes: Iterable[Scope] = ("tickets:read", "tickets:write"), workspace: str | None = None
    ) -> str:
        """Another key, of those scopes, of all workspaces or the one with that id; KeyError when there is none such."""
        given = tuple(scopes) if isinstance(scopes, Iterable) else ()
        try:
            key: str = self._sandbox.create_key(
                given if all(isinstance(scope, str) for scope in given) else (), workspace
            )["key"]
        except NotFound:
            raise _no_such_workspace(workspace) from None
        return key

    def revoke_key(self, key: str) -> None:
        """Ends a key that `create_key` made; KeyError when there is none such."""
        try:
            self._sandbox.revoke_key(_text(key, "a key"))
        except NotFound as error:
            raise KeyError(error.sentence) from None

    def create_workspace(self, name: str = "Another workspace") -> str:
        """Another workspace; gives its id."""
        workspace_id: str = self._sandbox.create_workspace(validate(NewWorkspace, {"name": name}).name)["id"]
        return workspace_id

    # What the desk holds

    @overload
    def seed(self, tickets: Iterable[TicketFields], /) -> list[Ticket]: ...
    @overload
    def seed(self, **fields: Unpack[TicketFields]) -> Ticket: ...
    def seed(self, *tickets: Iterable[TicketFields], **fields: Any) -> Any:
        """Makes a ticket of the fields, or one of each mapping, and gives it, or the list, as GET would.

        Any field of an import's line may be given, `messages` too; there is a default for the rest. ValueError, with
        nothing stored, for what does not fit.
        """
        given = [seed_ticket(*numbered) for numbered in enumerate(_tickets_of(tickets, fields))]
        made = [json.loads(ticket) for ticket in self._sandbox.seed(given)]
        return made if tickets else made[0]

    def tickets(self, status: Status | None = None, workspace_id: str | None = None) -> list[Ticket]:
        """All tickets, newest first; KeyError when there is no such workspace."""
        try:
            found: list[Ticket] = json.loads(self._sandbox.tickets(status, workspace_id))
        except NotFound:
            raise _no_such_workspace(workspace_id) from None
        return found

    def ticket(self, id: str) -> Ticket:
        """The ticket with that id; KeyError, which names those that there are, when there is none."""
        try:
            found: Ticket = json.loads(self._sandbox.ticket(_text(id, "an id")))
        except NotFound:
            raise self._no_such_ticket(id) from None
        return found

    def messages(self, id: str) -> list[Message]:
        """The messages of the ticket with that id, oldest first; KeyError when there is none."""
        try:
            found: list[Message] = json.loads(self._sandbox.messages(_text(id, "an id")))
        except NotFound:
            raise self._no_such_ticket(id) from None
        return found

    def reset(self) -> None:
        """As new: no tickets, keys or workspaces but the first ones, requests or faults; ids from 1, the real time.

        `url`, `key` and open connections stay. Calls that are held are let go, and store nothing.
        """
        self._sandbox.reset()

    def snapshot(self) -> Snapshot:
        """The state that the desk is in, for `restore`: a long set-up is made once."""
        return self._sandbox.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Puts the desk into that state, as often as wanted: what it held, the next ids, the clock, webhooks.

        Requests and faults are forgotten, as by `reset`.
        """
        sandbox = self._sandbox
        if not isinstance(snapshot, Snapshot):
            raise Invalid(f"{snapshot!r} is not a snapshot: give what snapshot() returned.")
        sandbox.restore(snapshot)

    # What it was asked

    def requests(self, method: Method | None = None, path: str | None = None) -> list[Request]:
        """The calls received since the reset, in order; `*` in `path` stands for any text without a slash."""
        return self._middleware.requests(method, path)

    def wait_for(
        self, method: Method | None = None, path: str | None = None, count: int = 1, timeout: float = 5
    ) -> list[Request]:
        """Waits until there are `count` such calls and gives them; AssertionError when they don't come in time."""
        check_wait(count, timeout, "calls", "requests")
        found = self._middleware.wait_for(method, path, count, timeout)
        if len(found) < count:
            wanted = f"{count} x {method or 'any method'} {path or 'any path'}"
            raise AssertionError(f"{wanted} did not come within {timeout} s, but {self.journal()}")
        return found

    def journal(self) -> str:
        """The calls received and the deliveries made since the reset, a line each, for a report."""
        return "\n".join(self._sandbox.journal()) or f"no call at all{hint_at_proxy(self._host)}"

    # How it fails

    def fail(
        self,
        status: int = 500,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: Method | None = None,
        path: str | None = None,
        query: Mapping[str, str] | None = None,
        request_headers: Mapping[str, str] | None = None,
        times: int | None = 1,
        skip: int = 0,
        when: When = "before",
    ) -> Fault:
        """The next such call is answered with this: `body` is text, bytes, or made JSON; by default the one shape.

        `times` of None lasts until the reset; `skip` lets that many pass first; with `when="after"` the call takes
        effect and is answered so all the same.
        """
        given = {name: str(value) for name, value in headers.items()} if isinstance(headers, Mapping) else headers
        met = _Met(method, path, query, request_headers, times, skip, when)
        return self._arm(met, status=status, body=body, headers=given)

    def delay(
        self,
        seconds: float,
        *,
        method: Method | None = None,
        path: str | None = None,
        query: Mapping[str, str] | None = None,
        request_headers: Mapping[str, str] | None = None,
        times: int | None = 1,
        skip: int = 0,
        when: When = "before",
    ) -> Fault:
        """The next such call is held that long, before or after it takes effect."""
        return self._arm(_Met(method, path, query, request_headers, times, skip, when), delay=seconds)

    def drop(
        self,
        how: Drop = "reset",
        *,
        method: Method | None = None,
        path: str | None = None,
        query: Mapping[str, str] | None = None,
        request_headers: Mapping[str, str] | None = None,
        times: int | None = 1,
        skip: int = 0,
        when: When = "before",
    ) -> Fault:
        """The next such call's connection ends: by "reset", by "close", or "partial", in the middle of the answer."""
        return self._arm(_Met(method, path, query, request_headers, times, skip, when), drop=how)

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

    @property
    def _now(self) -> "_Running":
        if self._running is None:
            raise RuntimeError(_STOPPED if self._was_started else _NOT_STARTED)
        return self._running

    @property
    def _sandbox(self) -> Sandbox:
        return self._now.sandbox

    @property
    def _middleware(self) -> FaultMiddleware:
        return self._sandbox.middleware

    def _arm(self, met: "_Met", **effect: Any) -> Fault:
        given = {name: value for name, value in (effect | met.fields()).items() if value is not None}
        return self._middleware.arm(validate(FaultSpec, given | {"times": met.times}))

    def _no_such_ticket(self, id: str) -> KeyError:
        ids = ", ".join(ticket["id"] for ticket in self.tickets()[:20])
        return KeyError(f"There is no ticket {id}, but {ids or 'none at all'}")


class _Met(NamedTuple):
    """Which requests a fault meets."""

    method: Method | None
    path: str | None
    query: Mapping[str, str] | None
    request_headers: Mapping[str, str] | None
    times: int | None
    skip: int
    when: When

    def fields(self) -> dict[str, Any]:
        """As `FaultSpec` names them; what is no mapping is left for it to refuse."""
        texts = {"query": self.query, "requestHeaders": self.request_headers}
        return {
            "method": self.method,
            "path": self.path,
            "skip": self.skip,
            "when": self.when,
            **{name: dict(given) if isinstance(given, Mapping) else given for name, given in texts.items()},
        }


@dataclass(frozen=True)
class _Running:
    """What there is while it runs."""

    sandbox: Sandbox
    server: Server
    thread: threading.Thread
    undo: ExitStack

    def stop(self) -> None:
        self.sandbox.middleware.close()
        self.server.stop()
        self.thread.join()
        self.undo.close()


def _tickets_of(listed: tuple[Any, ...], fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The tickets that `seed` was given: one of its fields, or a list of mappings."""
    if not listed:
        return [fields]
    if len(listed) > 1 or fields:
        raise Invalid("seed() takes the fields of one ticket, or one list of tickets: give one of both.")
    [tickets] = listed
    if isinstance(tickets, str | bytes | Mapping) or not isinstance(tickets, Iterable):
        raise Invalid(f"seed() takes a list of tickets, not {_kind(tickets)}: give the fields of one by their names.")
    tickets = list(tickets)
    for number, ticket in enumerate(tickets):
        if not isinstance(ticket, Mapping):
            raise Invalid(f"tickets.{number}: a ticket is a dict of its fields, not {_kind(ticket)}.")
    return [dict(ticket) for ticket in tickets]


def _text(given: Any, what: str) -> str:
    if not isinstance(given, str):
        raise Invalid(f"{what} is text, not {_kind(given)}: give what the desk gave.")
    return given


def _kind(given: Any) -> str:
    return f"a {type(given).__name__}"


def _no_such_workspace(workspace_id: str | None) -> KeyError:
    return KeyError(f"There is no workspace {workspace_id}: create_workspace() makes one and gives its id.")
