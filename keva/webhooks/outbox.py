"""What is due to each webhook, and what came of it: the cursor in the log of events, and a row for each delivery."""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any

from keva.errors import NotFound
from keva.storage.transaction import Reader, Transaction
from keva.webhooks.client import Answer
from keva.webhooks.registry import Webhook
from keva.webhooks.schedule import next_try

_GONE = 410  # the receiver wants no more
_KEPT_SECONDS = 30 * 24 * 3600.0
_LOOKED_AT = 1000  # deliveries, when old ones are forgotten


@dataclass(frozen=True)
class Outcome:
    """What came of a try: `error` is None when it was delivered, `next_at` when it is settled."""

    webhook_id: str
    event: int
    tries: int
    status: int | None
    error: str | None
    answer: str | None
    tried_at: float
    next_at: float | None


def outcome(webhook: Webhook, event: int, tries: int, answer: Answer, now: float) -> Outcome:
    next_at = next_try(tries, now, answer.retry_after) if answer.error else None
    return Outcome(webhook.id, event, tries, answer.status, answer.error, answer.text, now, next_at)


def switches_off(outcome: Outcome) -> bool:
    return outcome.status == _GONE


def due(reader: Reader, webhook: Webhook, now: float, most: int) -> list[tuple[int, int]]:
    """Events whose next try is due, by their seq, and how often they were tried; the longest due first."""
    return reader.all(
        "SELECT event, tries FROM deliveries WHERE webhook = ? AND next_at <= ? ORDER BY next_at LIMIT ?",
        (webhook.seq, now, most),
    )


def after(reader: Reader, cursor: int, most: int) -> list[tuple[int, str, int | None]]:
    """The events after the cursor, in order: seq, type and workspace."""
    return reader.all(
        """
        SELECT events.seq, type, workspace FROM events LEFT JOIN tickets ON tickets.seq = events.ticket
        WHERE events.seq > ? ORDER BY events.seq LIMIT ?
        """,
        (cursor, most),
    )


def store(tx: Transaction, outcomes: list[Outcome], cursors: dict[str, int]) -> None:
    """Stores what came of some tries, and how far each webhook has come; of what is gone, nothing."""
    tx.all(
        """
        INSERT INTO deliveries (webhook, event, tries, status, error, answer, tried_at, next_at)
        SELECT webhooks.seq, json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
          json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]'),
          json_extract(value, '$[7]')
        FROM json_each(?) JOIN webhooks ON webhooks.id = json_extract(value, '$[0]')
          JOIN events ON events.seq = json_extract(value, '$[1]')
        WHERE true
        ON CONFLICT (webhook, event) DO UPDATE SET
          (tries, status, error, answer, tried_at, next_at) =
          (excluded.tries, excluded.status, excluded.error, excluded.answer, excluded.tried_at, excluded.next_at)
        """,
        (json.dumps([astuple(outcome) for outcome in outcomes]),),
    )
    for webhook_id, cursor in cursors.items():
        _note_state(tx, webhook_id, cursor, [outcome for outcome in outcomes if outcome.webhook_id == webhook_id])


def _note_state(tx: Transaction, webhook_id: str, cursor: int, outcomes: list[Outcome]) -> None:
    """How far it has come, since when it has failed without a success, and whether its receiver wants no more."""
    worked = [number for number, outcome in enumerate(outcomes, 1) if outcome.error is None]
    failed_since_then = outcomes[worked[-1] if worked else 0 :]
    tx.all(
        """
        UPDATE webhooks SET
          cursor = max(cursor, :cursor),
          failing_since = iif(:worked, :since, ifnull(failing_since, :since)),
          off_because = ifnull(:off, off_because)
        WHERE id = :id
        """,
        {
            "id": webhook_id,
            "cursor": cursor,
            "worked": bool(worked),
            "since": failed_since_then[0].tried_at if failed_since_then else None,
            "off": f"answered {_GONE} at {tx.now}" if any(map(switches_off, outcomes)) else None,
        },
    )


def retry(tx: Transaction, event_ids: Iterable[str], now: float) -> int:
    """Makes the deliveries of those events due now, whatever came of them, and gives their number."""
    number = 0
    for event_id in event_ids:
        rows = tx.all(
            "UPDATE deliveries SET next_at = ? WHERE event IN (SELECT seq FROM events WHERE id = ?) RETURNING event",
            (now, event_id),
        )
        if not rows:
            raise NotFound(f"There is no delivery of {event_id}: 'webhooks deliveries' shows those that there are.")
        number += len(rows)
    return number


def retry_failed(tx: Transaction, since: float, now: float) -> int:
    """Makes every delivery due now whose last try failed, not before `since`, and gives their number."""
    sql = "UPDATE deliveries SET next_at = ? WHERE error IS NOT NULL AND tried_at >= ? RETURNING event"
    return len(tx.all(sql, (now, since)))


def forget_settled(tx: Transaction, now: float) -> int:
    """Forgets deliveries that were settled long ago, and gives their number.

    It looks at each webhook's oldest ones alone: what stands at the front and must stay is settled or tried soon.
    """
    rows = [
        row
        for (webhook,) in tx.all("SELECT seq FROM webhooks")
        for row in tx.all(
            """
            DELETE FROM deliveries
            WHERE webhook = :webhook
              AND event IN (SELECT event FROM deliveries WHERE webhook = :webhook ORDER BY event LIMIT :most)
              AND next_at IS NULL AND tried_at < :before
            RETURNING event
            """,
            {"webhook": webhook, "most": _LOOKED_AT, "before": now - _KEPT_SECONDS},
        )
    ]
    return len(rows)


def set_clock_back(tx: Transaction, webhook: Webhook, now: float) -> None:
    """After the clock was set back, what was tried in its future waits as long from now as it had to from then."""
    tx.all(
        """
        UPDATE deliveries SET next_at = next_at - (tried_at - :now), tried_at = :now
        WHERE webhook = :webhook AND next_at IS NOT NULL AND tried_at > :now
        """,
        {"webhook": webhook.seq, "now": now},
    )


def list_deliveries(
    reader: Reader, webhook_id: str | None = None, failed: bool = False, after: tuple[int, int] = (0, 0), most: int = -1
) -> list[dict[str, Any]]:
    """Deliveries by webhook and event, those after the given place; `place` is where each of them stands."""
    names = ("place", "webhook", "event", "type", "tries", "status", "error", "answer", "tried_at", "next_at")
    rows = reader.all(
        """
        SELECT deliveries.webhook, deliveries.event, webhooks.id, events.id, events.type, tries, status, error, answer,
          tried_at, next_at
        FROM deliveries JOIN webhooks ON webhooks.seq = webhook JOIN events ON events.seq = event
        WHERE (webhook, event) > (:webhook, :event)
          AND (:id IS NULL OR webhooks.id = :id) AND (NOT :failed OR error IS NOT NULL)
        ORDER BY webhook, event LIMIT :most
        """,
        {"webhook": after[0], "event": after[1], "id": webhook_id, "failed": failed, "most": most},
    )
    return [dict(zip(names, ((row[0], row[1]), *row[2:]), strict=True)) for row in rows]


def overview(reader: Reader, webhook: Webhook) -> dict[str, Any]:
    """How many deliveries wait, and since when it has failed."""
    [(waiting, failing_since)] = reader.all(
        """
        SELECT (SELECT count(*) FROM deliveries WHERE webhook = seq AND next_at IS NOT NULL), failing_since
        FROM webhooks WHERE seq = ?
        """,
        (webhook.seq,),
    )
    kinds = reader.all(
        """
        SELECT type, workspace, count(*) FROM events LEFT JOIN tickets ON tickets.seq = events.ticket
        WHERE events.seq > ? GROUP BY type, workspace
        """,
        (webhook.cursor,),
    )
    untried = sum(number for kind, workspace, number in kinds if webhook.wants(kind, workspace))
    return {"due": untried + waiting, "failing_since": failing_since}
