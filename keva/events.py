"""What happened at the desk: stored in the transaction of the change, told in the bytes that webhooks send."""

import json
from dataclasses import dataclass
from typing import Any

from keva.envelopes import ENVELOPES, Envelope, envelope
from keva.identity import Caller
from keva.seqs import following
from keva.storage.transaction import Reader, Transaction

TYPES = tuple(ENVELOPES)

_as_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # one for all: making it takes longer

# What an envelope may tell, by its name there, and where it is found; the details of the event come on top.
_VALUES = {
    "ticketId": "tickets.id",
    "subject": "subject",
    "customerEmail": "customer_email",
    "customerName": "customer_name",
    "source": "source",
    "messageId": "messages.id",
    "direction": "direction",
    "senderEmail": "sender_email",
    "body": "body",
}
_EVENT = f"""
SELECT events.seq, events.id, events.type, events.created_at, tickets.workspace, details, {", ".join(_VALUES.values())}
FROM events LEFT JOIN tickets ON tickets.seq = events.ticket LEFT JOIN messages ON messages.seq = events.message
"""


@dataclass(frozen=True)
class Event:
    """One event as it is told: `body` is its envelope."""

    seq: int
    id: str
    type: str
    workspace: int | None
    body: bytes

    @property
    def envelope(self) -> Envelope:
        told: Envelope = json.loads(self.body)
        return told


def record(
    tx: Transaction,
    caller: Caller,
    kind: str,
    ticket: int | None,
    message: int | None = None,
    details: dict[str, Any] | None = None,
) -> int:
    """Stores that it happened to the ticket with that seq, and gives the event's own.

    `details` is what the rows will not tell later. Whoever sends events hears of it once it is committed.
    """
    seq, has_webhooks = tx.one(
        f"""
        INSERT INTO events (seq, id, type, ticket, message, details, done_by, created_at)
        VALUES ({following("events")}, :id, :type, :ticket, :message, :details, :done_by, :now)
        RETURNING seq, EXISTS (SELECT 1 FROM webhooks)
        """,
        {
            "id": tx.mint("evt"),
            "type": kind,
            "ticket": ticket,
            "message": message,
            "details": details and _as_text(details),
            "done_by": caller.actor,
            "now": tx.now,
        },
    )
    tx.has_news = tx.has_news or bool(has_webhooks)
    return int(seq)


def find(reader: Reader, seq: int) -> Event | None:
    """The event with that seq; None when there is none, as after a reset."""
    row = reader.one(f"{_EVENT} WHERE events.seq = ?", (seq,))
    return row and _event(row)


def list_all(reader: Reader, kind: str | None = None) -> list[Event]:
    """All of a desk for tests, oldest first."""
    rows = reader.all(f"{_EVENT} WHERE ? IS NULL OR events.type = ? ORDER BY events.seq", (kind, kind))
    return [_event(row) for row in rows]


def _event(row: Any) -> Event:
    seq, event_id, kind, created_at, workspace, details, *values = row
    told = dict(zip(_VALUES, values, strict=True)) | json.loads(details or "{}")
    return Event(seq, event_id, kind, workspace, envelope(kind, event_id, created_at, told))
