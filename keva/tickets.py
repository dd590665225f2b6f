"""Tickets and their messages: the verbs of the desk, with their SQL."""

# A ticket or a message outside SQL is its JSON text, made by SQLite as the API shows it: most doors pass it on as it
# is, and whoever needs a dict loads it.

import json
from collections.abc import Generator
from typing import Any

from keva import events
from keva.errors import NotFound
from keva.identity import Caller, is_id
from keva.models import ListQuery, NewMessage, NewTicket, TicketChange
from keva.seqs import following
from keva.storage.transaction import Reader, Transaction

_FIELDS = {
    "id": "id",
    "subject": "subject",
    "status": "status",
    "priority": "priority",
    "customerEmail": "customer_email",
    "customerName": "customer_name",
    "source": "source",
    "assignedTo": "assigned_to",
    "resolutionType": "resolution_type",
    "tags": "json(tags)",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
_NOT_OF_A_CREATE = ("assignedTo", "resolutionType", "tags", "updatedAt")


def _json_object(fields: dict[str, str]) -> str:
    pairs = ", ".join(f"'{name}', {value}" for name, value in fields.items())
    return f"json_object({pairs})"


TICKET_JSON = _json_object(_FIELDS)
_CREATED_JSON = _json_object({name: value for name, value in _FIELDS.items() if name not in _NOT_OF_A_CREATE})


def message_json(ticket_id: str) -> str:
    """The SQL of a message's JSON; `ticket_id` is the SQL of its ticket's id.

    json_patch('{}', object) drops null members (RFC 7396), so senderName and bodyHtml are left out when there is none.
    """
    return f"""json_patch('{{}}', json_object(
  'id', messages.id, 'ticketId', {ticket_id}, 'direction', direction, 'senderEmail', sender_email,
  'senderName', sender_name, 'body', body, 'bodyHtml', body_html, 'createdAt', messages.created_at))"""


Rows = Generator[tuple[int, str], None, None]  # each a seq, and the JSON of a ticket or a message
_NEXT_MESSAGE = following("messages")
_SETTLED = ("solved", "closed")

BLOCK = 4096  # as in schema.sql, which says why
_NO_SEQ = 2**63 - 1  # above all of them

_CREATE = f"""
INSERT INTO new_tickets
  (id, workspace, subject, status, priority, customer_email, customer_name, source, created_at,
   message_id, body, event_id, done_by)
VALUES
  (:id, ifnull(:workspace, (SELECT min(seq) FROM workspaces)), :subject, 'open', 'medium', :customer_email,
   :customer_name, :source, :now, :message_id, :body, :event_id, :done_by)
RETURNING id, {_CREATED_JSON}, EXISTS (SELECT 1 FROM webhooks)
"""

# What a change may be of, by its column, and the SQL of its value; the API's changes are of the first three.
_CHANGEABLE = {
    "status": "status",
    "priority": "priority",
    "assigned_to": "assigned_to",
    "resolution_type": "resolution_type",
    "tags": "json(tags)",
}
_TOLD = {"status": "status", "priority": "priority", "assigned_to": "assignedTo"}  # by an event, under these names

# A caller of one workspace meets nothing of another; None reaches all.
_WITHIN_REACH = "id = :id AND (:workspace IS NULL OR workspace = :workspace)"


def list_page(reader: Reader, caller: Caller, query: ListQuery) -> tuple[int, Rows]:
    """The number of tickets on all pages, and those of one page, newest first, all of one state.

    Until the iterator is exhausted or closed, nothing else may be asked of the reader.
    """
    conditions = ["seq < :below"]
    if caller.workspace is not None:
        conditions.append("workspace = :workspace")
    if query.status is not None:
        conditions.append("status = :status")
    below, before = _skip_blocks(reader, caller, query)
    rows = reader.each(
        f"""
        SELECT ifnull(sum(tickets), 0), NULL FROM ticket_counts
        WHERE workspace = ifnull(:workspace, 0) AND block = -1 AND (:status IS NULL OR status = :status)
        UNION ALL
        SELECT * FROM
          (SELECT seq, {TICKET_JSON} FROM tickets WHERE {" AND ".join(conditions)}
           ORDER BY seq DESC LIMIT :per_page OFFSET :before)
        """,
        {
            "workspace": caller.workspace,
            "status": query.status,
            "per_page": query.per_page,
            "below": below,
            "before": before,
        },
    )
    total, _ = next(rows)
    return total, rows


def _skip_blocks(reader: Reader, caller: Caller, query: ListQuery) -> tuple[int, int]:
    """Where a page begins: below which seq, and how many tickets after that; OFFSET alone would walk them all."""
    before = (query.page - 1) * query.per_page
    if before < BLOCK:
        return _NO_SEQ, before
    blocks = reader.all(
        """
        SELECT block, sum(tickets) FROM ticket_counts
        WHERE workspace = ifnull(?, 0) AND block >= 0 AND (? IS NULL OR status = ?)
        GROUP BY block ORDER BY block DESC
        """,
        (caller.workspace, query.status, query.status),
    )
    for block, tickets in blocks:
        if before < tickets:
            return (block + 1) * BLOCK, before
        before -= tickets
    return 0, 0


def create(tx: Transaction, caller: Caller, new: NewTicket) -> tuple[str, str]:
    """Stores a ticket and its first message; gives the ticket's id and its JSON, of eight fields."""
    values = {
        "workspace": caller.workspace,
        "subject": new.subject,
        "customer_email": new.customer_email,
        "customer_name": new.customer_name,
        "source": new.source,
        "body": new.body,
        "done_by": caller.actor,
        "now": tx.now,
    }
    ids = {"id": tx.mint("tkt"), "message_id": tx.mint("msg"), "event_id": tx.mint("evt")}
    while (row := tx.one(_CREATE, values | ids)) is None:
        _mint_anew(tx, ids)
    ticket_id, ticket, has_webhooks = row
    tx.has_news = tx.has_news or bool(has_webhooks)
    return ticket_id, ticket


def _mint_anew(tx: Transaction, ids: dict[str, str]) -> None:
    """Replaces those that are taken: an import may have brought an id that a desk for tests mints next."""
    if tx.one("SELECT 1 FROM tickets WHERE id = ?", (ids["id"],)):
        ids["id"] = tx.mint("tkt")
    if tx.one("SELECT 1 FROM messages WHERE id = ?", (ids["message_id"],)):
        ids["message_id"] = tx.mint("msg")


def get(reader: Reader, caller: Caller, ticket_id: str) -> str:
    """The ticket's JSON; NotFound where the caller can see none such."""
    row = reader.one(f"SELECT {TICKET_JSON} FROM tickets WHERE {_WITHIN_REACH}", _reach(caller, ticket_id))
    return str(_found(row)[0])


def update(tx: Transaction, caller: Caller, ticket_id: str, change: TicketChange) -> str:
    """Changes what was sent and gives the ticket's JSON; `updatedAt` becomes now only when a value really changes.

    The old values are read first, which is safe because there is one writer at a time.
    """
    row = tx.one(
        f"SELECT seq, {', '.join(_CHANGEABLE.values())} FROM tickets WHERE {_WITHIN_REACH}", _reach(caller, ticket_id)
    )
    seq, *old = _found(row)
    before = dict(zip(_CHANGEABLE, old, strict=True))
    sent = {column: _as_stored(getattr(change, column)) for column in _CHANGEABLE if column in change.model_fields_set}
    changed = {column: value for column, value in sent.items() if value != before[column]}
    if sent.get("status") in _SETTLED:  # also once more: what was said until now is dealt with
        tx.all("UPDATE tickets SET waiting = 0 WHERE seq = ? AND waiting", (seq,))
    if not changed:
        return get(tx, caller, ticket_id)
    columns = ", ".join(f"{column} = :{column}" for column in changed)
    row = tx.one(
        f"UPDATE tickets SET {columns}, updated_at = :now WHERE seq = :seq RETURNING {TICKET_JSON}",
        {**changed, "seq": seq, "now": tx.now},
    )
    _record_change(tx, caller, seq, before, changed)
    return str(row[0])


def _record_change(tx: Transaction, caller: Caller, seq: int, before: dict[str, Any], changed: dict[str, Any]) -> None:
    """One event for what changed and, after it, one for a ticket that is solved or closed by it."""
    told = {
        name: {"from": before[column], "to": changed[column]} for column, name in _TOLD.items() if column in changed
    }
    if told:
        events.record(tx, caller, "ticket.updated", seq, details={"changes": told})
    if changed.get("status") in _SETTLED:
        resolution_type = (before | changed)["resolution_type"]
        details = {"resolution": changed["status"], "resolutionType": resolution_type}
        events.record(tx, caller, "ticket.closed", seq, details=details)


def _as_stored(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, list) else value


def list_messages(reader: Reader, caller: Caller, ticket_id: str, after: int = 0, until: int = _NO_SEQ) -> Rows:
    """The ticket's messages, oldest first; NotFound where the caller can see no such ticket.

    Messages are only ever added, so that those up to the one that was last are always of one state, whether they are
    read at once or, `after` the one that was reached, in several goes.
    """
    rows = reader.each(
        f"""
        SELECT messages.seq, iif(messages.seq, {message_json("tickets.id")}, NULL)
        FROM tickets LEFT JOIN messages
          ON ticket = tickets.seq AND messages.seq > :after AND messages.seq <= :until
        WHERE tickets.{_WITHIN_REACH} ORDER BY messages.seq
        """,
        {**_reach(caller, ticket_id), "after": after, "until": until},
    )
    seq, message = _found(next(rows, None))
    if seq is not None:
        yield seq, message
    yield from rows


def last_message(reader: Reader, ticket_id: str) -> int:
    """The seq of the ticket's last message."""
    [seq] = reader.one(
        "SELECT ifnull(max(seq), 0) FROM messages WHERE ticket = (SELECT seq FROM tickets WHERE id = ?)", (ticket_id,)
    )
    return int(seq)


def add_message(tx: Transaction, caller: Caller, ticket_id: str, new: NewMessage) -> str:
    """Stores a message and gives its JSON; the ticket was updated now."""
    row = tx.one(
        f"""
        UPDATE tickets SET updated_at = :now, last_message = {_NEXT_MESSAGE}, waiting = :waiting
        WHERE {_WITHIN_REACH} RETURNING seq
        """,
        {**_reach(caller, ticket_id), "now": tx.now, "waiting": new.direction == "inbound"},
    )
    ticket = _found(row)[0]
    message, added = tx.insert(
        "msg",
        f"""
        INSERT INTO messages (seq, id, ticket, direction, sender_email, sender_name, body, body_html, created_at)
        VALUES ({_NEXT_MESSAGE}, :id, :ticket, :direction, :sender_email, :sender_name, :body, :body_html, :now)
        ON CONFLICT (id) DO NOTHING
        RETURNING seq, {message_json(":ticket_id")}
        """,
        {
            "ticket": ticket,
            "ticket_id": ticket_id,
            "direction": new.direction,
            "sender_email": new.sender_email,
            "sender_name": new.sender_name,
            "body": new.body,
            "body_html": new.body_html,
            "now": tx.now,
        },
    )
    events.record(tx, caller, "message.created", ticket, message)
    return str(added)


def _reach(caller: Caller, ticket_id: str) -> dict[str, object]:
    if not is_id(ticket_id, "tkt"):
        raise _no_such_ticket()
    return {"id": ticket_id, "workspace": caller.workspace}


def _found(row: Any) -> Any:
    if row is None:
        raise _no_such_ticket()
    return row


def _no_such_ticket() -> NotFound:
    return NotFound("There is no such ticket that this API key reaches: look its id up in the list of tickets.")
