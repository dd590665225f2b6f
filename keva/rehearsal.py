"""A desk for tests: a throw-away file, ids that can be known beforehand, its own clock, and a stage before the API."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from keva import identity, tickets, transfer, workspaces
from keva.api import Call
from keva.clock import Clock
from keva.db import Desk
from keva.errors import Invalid
from keva.identity import SCOPES, Caller, Keyring
from keva.limit import RateLimit
from keva.lines import TicketLine
from keva.models import ListQuery
from keva.sent import fit
from keva.stage import Stage
from keva.web import create_app

THREADS = 32  # a call that is held keeps one
KEY = "keva_live_for_tests"
_EVERYTHING = Caller(None, SCOPES, None)
_OUTBOUND = {"senderEmail": "support@company.com"}
_DEFAULTS = {"subject": "A ticket", "customerEmail": "customer@example.com", "messages": [{"body": "A message"}]}


class Rehearsal:
    """`stage` is the application to serve; the rest is what a test may do behind it, at once and unseen."""

    def __init__(
        self,
        path: Path,
        key: str | None = None,
        rate_limit: int = 0,
        verbose: bool = False,
        control: Callable[["Rehearsal"], list[Call]] = lambda _: [],
    ) -> None:
        self.key = identity.check_fixed_key(key or KEY)
        self.clock, self._ids = Clock(), identity.Counted()
        self._limit = RateLimit(rate_limit, self.clock) if rate_limit else None
        self.desk = Desk(path, self._ids, self.clock, for_tests=True)
        app = create_app(self.desk, Keyring(self.key), self._limit, verbose, control(self))
        routes = [rule.rule for rule in app.url_map.iter_rules()]
        self.stage = Stage(app, routes, self.clock, self._empty)

    def seed(self, given: Iterable[dict[str, Any]]) -> list[str]:
        """Makes a ticket of each, which may have any field of an import's line; gives their JSON."""
        lines = [_line(number, ticket) for number, ticket in enumerate(given)]
        with self.desk.write() as tx:
            intake = transfer.Intake(tx)
            ids = [intake.store(line) for line in lines]
        return [self.ticket(ticket_id) for ticket_id in ids]

    def ticket(self, ticket_id: str) -> str:
        return tickets.get(self.desk.read(), _EVERYTHING, ticket_id)

    def tickets(self, status: str | None, workspace_id: str | None) -> str:
        """The JSON of all that fit, newest first."""
        tx = self.desk.read()
        caller = _EVERYTHING.within(tx, workspace_id) if workspace_id else _EVERYTHING
        given = fit(ListQuery, {"status": status} if status else {})
        page, _ = tickets.list_page(tx, caller, given.model_copy(update={"per_page": -1}))  # SQLite's "no limit"
        return f"[{page}]"

    def messages(self, ticket_id: str) -> str:
        return f"[{tickets.list_messages(self.desk.read(), _EVERYTHING, ticket_id)}]"

    def create_key(self, scopes: Iterable[str], workspace_id: str | None) -> dict[str, Any]:
        with self.desk.write() as tx:
            return identity.create_key(tx, "made by a test", tuple(scopes), workspace_id)

    def revoke_key(self, key: str) -> None:
        with self.desk.write() as tx:
            identity.revoke_key(tx, identity.id_of_key(tx, key))

    def create_workspace(self, name: str) -> dict[str, Any]:
        with self.desk.write() as tx:
            return workspaces.create(tx, name)

    def _empty(self) -> None:
        self._ids.restart()
        self.desk.empty()
        self._ids.restart()
        self._ids("ws")  # the first workspace has the first
        if self._limit:
            self._limit.forget()


def _line(number: int, given: dict[str, Any]) -> TicketLine:
    ticket = _DEFAULTS | given
    if isinstance(ticket["messages"], list):
        ticket["messages"] = [
            _OUTBOUND | message if _is_outbound(message) else message for message in ticket["messages"]
        ]
    try:
        return fit(TicketLine, ticket)
    except Invalid as error:
        raise Invalid(f"tickets.{number}: {error.sentence}", error.details) from None


def _is_outbound(message: Any) -> bool:
    return isinstance(message, dict) and message.get("direction") == "outbound"
