"""A desk for tests: a throw-away database, predictable ids, its own clock, and the fault middleware before its API."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from keva import identity, people, tickets, workspaces
from keva.api.app import create_app
from keva.api.rate_limit import RateLimit
from keva.api.registry import Endpoint
from keva.identity import SCOPES, Caller, Keyring
from keva.models import ListQuery
from keva.storage import images
from keva.storage.database import Database
from keva.testing.clock import REAL_TIME, Clock
from keva.testing.endpoints import every_endpoint
from keva.testing.middleware import FaultMiddleware
from keva.testing.seeds import SeedTicket
from keva.testing.snapshots import Snapshot
from keva.testing.webhooks import DeskWebhooks
from keva.transfer.importer import TicketImporter
from keva.validation import validate
from keva.webhooks.dispatcher import Dispatcher

THREADS = 8  # a held request keeps none
KEY = "keva_live_for_tests"
_EVERYTHING = Caller(None, SCOPES, None)


class Sandbox:
    """The desk of a database at `path`, made for tests; with its control endpoints, and more, if `control`.

    Where the file was made from `start`, a reset goes back to that. Serve its `middleware`. Everything else acts on the
    desk directly: it is neither recorded nor delayed.
    """

    def __init__(
        self,
        path: Path,
        key: str | None = None,
        rate_limit: int = 0,
        verbose: bool = False,
        control: bool = False,
        more_endpoints: Iterable[Endpoint] = (),
        more_links: Mapping[str, str] | None = None,
        start: Snapshot | None = None,
    ) -> None:
        self.key = identity.check_fixed_key(key or KEY)
        self.clock, self._ids = Clock(), identity.Counted()
        if start:
            self.start, self._ids.counts = start, Counter(start.ids)
        self._limit = RateLimit(rate_limit, self.clock) if rate_limit else None
        self.database = Database(path, self._ids, self.clock, for_tests=True)
        self.dispatcher = Dispatcher(self.database)
        self.webhooks = DeskWebhooks(self.database, self.dispatcher)
        self.clock.on_change = self.dispatcher.nudge
        # A control endpoint looks for the middleware when it is called, and it is there by then.
        endpoints = [*every_endpoint(self), *more_endpoints] if control else []
        app = create_app(self.database, Keyring(self.key), self._limit, verbose, endpoints, more_links)
        self.middleware = FaultMiddleware(app, [rule.rule for rule in app.url_map.iter_rules()])

    def seed(self, records: Iterable[SeedTicket]) -> list[str]:
        """Stores them all, and gives their JSON."""
        with self.database.write() as tx:
            importer = TicketImporter(tx)
            ids = [importer.store(record) for record in records]
        return [self.ticket(ticket_id) for ticket_id in ids]

    def ticket(self, ticket_id: str) -> str:
        with self.database.read() as reader:
            return tickets.get(reader, _EVERYTHING, ticket_id)

    def tickets(self, status: str | None, workspace_id: str | None) -> str:
        """The JSON array of all that fit, newest first."""
        query = validate(ListQuery, {"status": status} if status else {})
        with self.database.read() as reader:
            caller = _EVERYTHING.within(reader, workspace_id) if workspace_id else _EVERYTHING
            _, rows = tickets.list_page(reader, caller, query.model_copy(update={"per_page": -1}))  # no limit, in SQL
            return _array(rows)

    def messages(self, ticket_id: str) -> str:
        with self.database.read() as reader:
            return _array(tickets.list_messages(reader, _EVERYTHING, ticket_id))

    def journal(self) -> list[str]:
        """The calls received and the deliveries made since the reset, a line each."""
        return list(map(repr, [*self.middleware.requests(), *self.webhooks.deliveries()]))

    def create_key(self, scopes: Iterable[str], workspace_id: str | None) -> dict[str, Any]:
        with self.database.write() as tx:
            return identity.create_key(tx, "made by a test", tuple(scopes), workspace_id)

    def revoke_key(self, key: str) -> None:
        with self.database.write() as tx:
            identity.revoke_key(tx, identity.id_of_key(tx, key))

    def create_workspace(self, name: str) -> dict[str, Any]:
        with self.database.write() as tx:
            return workspaces.create(tx, name)

    def start_with(self, store: Callable[[Database], object]) -> None:
        """What `store` puts into the empty desk is what a reset goes back to."""
        self.reset()
        store(self.database)
        self.start = self.snapshot()

    @cached_property
    def start(self) -> Snapshot:
        """What a reset goes back to."""
        ids = identity.Counted()
        return Snapshot(images.image_of_new(ids, self.database.now()), ids.counts, REAL_TIME, {})

    def reset(self) -> None:
        self.restore(self.start)

    def snapshot(self) -> Snapshot:
        """The state that it is in."""
        # The ids last: one that was made meanwhile is left out later, rather than made again.
        image = self.database.image()
        return Snapshot(image, self._ids.counts.copy(), self.clock.setting, self.webhooks.receivers.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """Puts the desk into that state, with no faults and an empty journal."""
        with self.middleware.between_tests():
            self.webhooks.forget()
            self.clock.set(snapshot.clock)
            with self.database.read() as reader:
                ways_in = people.ways_in(reader)  # whoever looks on in the inbox stays signed in
            self.database.put_back(snapshot.image)
            self._ids.counts = Counter(snapshot.ids)
            if ways_in:
                with self.database.write() as tx:
                    people.restore_ways_in(tx, ways_in)
            if self._limit:
                self._limit.forget()
            if snapshot.ids.get("hook"):  # to look for webhooks would take half of a reset's time
                self.webhooks.put_back(snapshot.receivers)


def _array(rows: tickets.Rows) -> str:
    return f"[{','.join(row for _, row in rows)}]"
