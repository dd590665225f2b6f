"""What happened to tickets, and by whom, as the events tell it."""

import json
from dataclasses import dataclass, field
from typing import Any

from keva.identity import Caller
from keva.storage.transaction import Reader

MOST_NEWS = 1000
_COLUMNS = "events.seq, events.type, events.message, events.details, events.done_by, events.created_at"


@dataclass(frozen=True)
class Step:
    """One event: `changes` has the old and the new value of each field that changed, `message` a message's seq."""

    seq: int
    type: str
    message: int | None
    done_by: str
    at: str
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class News:
    tickets: int
    messages: int


def newest(reader: Reader) -> int:
    """The seq of the last event, 0 before the first: what happens from now on has a higher one."""
    return int(reader.one("SELECT ifnull(max(seq), 0) FROM events")[0])


def of_ticket(reader: Reader, ticket: int) -> list[Step]:
    """All that happened to the ticket with that seq, oldest first."""
    rows = reader.all(f"SELECT {_COLUMNS} FROM events WHERE ticket = ? ORDER BY seq", (ticket,))
    return [_step(row) for row in rows]


def by_others(reader: Reader, caller: Caller, ticket: int, after: int) -> list[Step]:
    """What others than the caller said and changed in the ticket since that event."""
    rows = reader.all(
        f"""
        SELECT {_COLUMNS} FROM events
        WHERE ticket = ? AND seq > ? AND done_by <> ? AND type IN ('ticket.updated', 'message.created') ORDER BY seq
        """,
        (ticket, after, caller.actor),
    )
    return [_step(row) for row in rows]


def news(reader: Reader, caller: Caller, after: int) -> News:
    """How many tickets and messages came from others since that event; counted up to MOST_NEWS."""
    rows = reader.all(
        f"""
        SELECT type, count(*) FROM (
          SELECT type FROM events JOIN tickets ON tickets.seq = events.ticket
          WHERE events.seq > :after AND type IN ('ticket.created', 'message.created') AND done_by <> :actor
            AND (:workspace IS NULL OR workspace = :workspace)
          LIMIT {MOST_NEWS})
        GROUP BY type
        """,
        {"after": after, "actor": caller.actor, "workspace": caller.workspace},
    )
    found = dict(rows)
    return News(found.get("ticket.created", 0), found.get("message.created", 0))


def _step(row: Any) -> Step:
    seq, kind, message, details, done_by, at = row
    return Step(seq, kind, message, done_by, at, json.loads(details or "{}").get("changes", {}))
