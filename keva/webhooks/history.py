"""What webhooks have delivered of late, for people to look at, and one delivery tried again because they say so."""

from dataclasses import dataclass

from keva import times
from keva.errors import NotFound
from keva.storage.transaction import Reader, Transaction
from keva.webhooks.registry import Webhook


@dataclass(frozen=True)
class Delivery:
    """One event's delivery; times as the API shows them, `next_at` None once it is settled."""

    event: str
    type: str
    tries: int
    status: int | None
    error: str | None
    tried_at: str
    next_at: str | None


def latest(reader: Reader, webhook: Webhook, most: int) -> list[Delivery]:
    """The webhook's last deliveries, newest event first; without the answer's text, which is for the shell alone."""
    rows = reader.all(
        """
        SELECT events.id, type, tries, status, error, tried_at, next_at
        FROM deliveries JOIN events ON events.seq = event
        WHERE webhook = ? ORDER BY event DESC LIMIT ?
        """,
        (webhook.seq, most),
    )
    return [_delivery(*row) for row in rows]


def retry(tx: Transaction, webhook: Webhook, event_id: str, now: float) -> None:
    """Makes that delivery due now, whatever came of it; NotFound when there is none."""
    rows = tx.all(
        """
        UPDATE deliveries SET next_at = ?
        WHERE webhook = ? AND event IN (SELECT seq FROM events WHERE id = ?) RETURNING event
        """,
        (now, webhook.seq, event_id),
    )
    if not rows:
        raise NotFound("There is no such delivery any more: it was forgotten, or its webhook is gone.")


def _delivery(
    event: str, kind: str, tries: int, status: int | None, error: str | None, tried_at: float, next_at: float | None
) -> Delivery:
    due = None if next_at is None else times.timestamp(next_at)
    return Delivery(event, kind, tries, status, error, times.timestamp(tried_at), due)
