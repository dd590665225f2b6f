"""The verbs of the desk, with their SQL: what they give is the JSON that the API shows, made by SQLite."""

from typing import Any

from keva.errors import NotFound
from keva.identity import Caller, is_id
from keva.models import ListQuery, NewMessage, NewTicket, TicketChange
from keva.tx import Read, Write

TICKET_JSON = """json_object(
  'id', id, 'subject', subject, 'status', status, 'priority', priority, 'customerEmail', customer_email,
  'customerName', customer_name, 'source', source, 'assignedTo', assigned_to, 'resolutionType', resolution_type,
  'tags', json(tags), 'createdAt', created_at, 'updatedAt', updated_at)"""

_CREATED = """json_object(
  'id', id, 'subject', subject, 'status', status, 'priority', priority, 'customerEmail', customer_email,
  'customerName', customer_name, 'source', source, 'createdAt', created_at)"""


def message_json(ticket_id: str) -> str:
    """A message whose ticket's id is that expression; a merge patch onto nothing leaves out what is null."""
    return f"""json_patch('{{}}', json_object(
  'id', messages.id, 'ticketId', {ticket_id}, 'direction', direction, 'senderEmail', sender_email,
  'senderName', sender_name, 'body', body, 'bodyHtml', body_html, 'createdAt', messages.created_at))"""


BLOCK = 4096  # seqs that schema.sql counts together
_NO_SEQ = 2**63 - 1  # above all of them

# A caller of one workspace meets nothing of another; None reaches all.
_WITHIN_REACH = "id = :id AND (:workspace IS NULL OR workspace = :workspace)"


def list_page(tx: Read, caller: Caller, query: ListQuery) -> tuple[str, int]:
    """The JSON of one page's tickets, newest first, without its brackets, and the number of tickets on all pages."""
    conditions = ["seq < :below"]
    if caller.workspace is not None:
        conditions.append("workspace = :workspace")
    if query.status is not None:
        conditions.append("status = :status")
    below, before = _skip_blocks(tx, caller, query)
    row: tuple[str | None, int] = tx.one(
        f"""
        SELECT
          (SELECT group_concat(ticket) FROM
            (SELECT {TICKET_JSON} AS ticket FROM tickets WHERE {" AND ".join(conditions)}
             ORDER BY seq DESC LIMIT :per_page OFFSET :before)),
          (SELECT ifnull(sum(tickets), 0) FROM ticket_counts
           WHERE workspace = ifnull(:workspace, 0) AND block = -1 AND (:status IS NULL OR status = :status))
        """,
        {
            "workspace": caller.workspace,
            "status": query.status,
            "per_page": query.per_page,
            "below": below,
            "before": before,
        },
    )
    return row[0] or "", row[1]


def _skip_blocks(tx: Read, caller: Caller, query: ListQuery) -> tuple[int, int]:
    """Where a page begins: below which seq, and how many tickets after that; OFFSET alone would walk them all."""
    before = (query.page - 1) * query.per_page
    if before < BLOCK:
        return _NO_SEQ, before
    blocks = tx.all(
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


def create(tx: Write, caller: Caller, new: NewTicket) -> tuple[str, str]:
    """Stores a ticket and its first message; gives the ticket's id and its JSON, of eight fields."""
    seq, ticket_id, ticket = tx.add(
        "tkt",
        f"""
        INSERT INTO tickets
          (id, workspace, subject, status, priority, customer_email, customer_name, source, created_at, updated_at)
        VALUES
          (:id, ifnull(:workspace, (SELECT min(seq) FROM workspaces)), :subject, 'open', 'medium',
           :customer_email, :customer_name, :source, :now, :now)
        ON CONFLICT (id) DO NOTHING
        RETURNING seq, id, {_CREATED}
        """,
        {
            "workspace": caller.workspace,
            "subject": new.subject,
            "customer_email": new.customer_email,
            "customer_name": new.customer_name,
            "source": new.source,
            "now": tx.now,
        },
    )
    first = NewMessage.model_construct(
        body=new.body, sender_email=new.customer_email, sender_name=new.customer_name, direction="inbound"
    )
    _insert_message(tx, seq, ticket_id, first)
    return ticket_id, ticket


def get(tx: Read, caller: Caller, ticket_id: str) -> str:
    """The ticket's JSON; NotFound where the caller can see none such."""
    row = tx.one(f"SELECT {TICKET_JSON} FROM tickets WHERE {_WITHIN_REACH}", _reach(caller, ticket_id))
    return str(_found(row)[0])


def update(tx: Write, caller: Caller, ticket_id: str, change: TicketChange) -> str:
    """Changes what was sent and nothing else; the time of the update moves when a value really changes."""
    row = tx.one(
        f"""
        UPDATE tickets SET
          status = ifnull(:status, status),
          priority = ifnull(:priority, priority),
          assigned_to = iif(:assigns, :assigned_to, assigned_to),
          updated_at = iif(
            ifnull(:status, status) IS NOT status OR ifnull(:priority, priority) IS NOT priority
              OR iif(:assigns, :assigned_to, assigned_to) IS NOT assigned_to,
            :now, updated_at)
        WHERE {_WITHIN_REACH}
        RETURNING {TICKET_JSON}
        """,
        {
            **_reach(caller, ticket_id),
            "status": change.status,
            "priority": change.priority,
            "assigns": "assigned_to" in change.model_fields_set,
            "assigned_to": change.assigned_to,
            "now": tx.now,
        },
    )
    return str(_found(row)[0])


def list_messages(tx: Read, caller: Caller, ticket_id: str) -> str:
    """The JSON of all the ticket's messages, oldest first, without its brackets."""
    row = tx.one(
        f"""
        SELECT (SELECT group_concat(message) FROM
          (SELECT {message_json("tickets.id")} AS message FROM messages
           WHERE ticket = tickets.seq ORDER BY messages.seq))
        FROM tickets WHERE {_WITHIN_REACH}
        """,
        _reach(caller, ticket_id),
    )
    return _found(row)[0] or ""


def add_message(tx: Write, caller: Caller, ticket_id: str, new: NewMessage) -> str:
    """Stores a message and gives its JSON; the ticket was updated now."""
    row = tx.one(
        f"UPDATE tickets SET updated_at = :now WHERE {_WITHIN_REACH} RETURNING seq",
        {**_reach(caller, ticket_id), "now": tx.now},
    )
    return _insert_message(tx, _found(row)[0], ticket_id, new)


def _insert_message(tx: Write, ticket: int, ticket_id: str, new: NewMessage) -> str:
    row = tx.add(
        "msg",
        f"""
        INSERT INTO messages (id, ticket, direction, sender_email, sender_name, body, body_html, created_at)
        VALUES (:id, :ticket, :direction, :sender_email, :sender_name, :body, :body_html, :now)
        ON CONFLICT (id) DO NOTHING
        RETURNING {message_json(":ticket_id")}
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
    return str(row[0])


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
