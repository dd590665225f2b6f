"""One ticket with its messages, as the inbox shows it."""

import json
from typing import Any

from keva.errors import NotFound
from keva.identity import Caller, is_id
from keva.storage.transaction import Reader

_TICKET = (
    "seq",
    "id",
    "subject",
    "status",
    "priority",
    "customer_email",
    "customer_name",
    "source",
    "assigned_to",
    "tags",
    "waiting",
    "created_at",
    "workspace",
    "messages",
)
_MESSAGE = ("seq", "id", "direction", "sender_email", "sender_name", "body", "has_html", "created_at")


def thread(
    reader: Reader, caller: Caller, ticket_id: str, newest: int = 100
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The ticket, with its seq and its workspace's name, and its `newest` messages, oldest first; NotFound."""
    row = is_id(ticket_id, "tkt") and reader.one(
        """
        SELECT tickets.seq, tickets.id, subject, status, priority, customer_email, customer_name, source, assigned_to,
          tags, waiting, tickets.created_at, workspaces.name,
          (SELECT count(*) FROM messages WHERE ticket = tickets.seq)
        FROM tickets JOIN workspaces ON workspaces.seq = workspace
        WHERE tickets.id = :id AND (:workspace IS NULL OR workspace = :workspace)
        """,
        {"id": ticket_id, "workspace": caller.workspace},
    )
    if not row:
        raise NotFound("There is no such ticket that you reach: look for it in the list of tickets.")
    ticket = dict(zip(_TICKET, row, strict=True))
    ticket["tags"] = json.loads(ticket["tags"])
    rows = reader.all(
        """
        SELECT seq, id, direction, sender_email, sender_name, body, body_html IS NOT NULL, created_at
        FROM messages WHERE ticket = ? ORDER BY seq DESC LIMIT ?
        """,
        (ticket["seq"], newest),
    )
    return ticket, [dict(zip(_MESSAGE, row, strict=True)) for row in reversed(rows)]


def html_of(reader: Reader, caller: Caller, ticket_id: str, message_id: str) -> str:
    """The HTML of a message as it was sent; NotFound where it has none, or the caller sees no such ticket."""
    row = reader.one(
        """
        SELECT body_html FROM messages JOIN tickets ON tickets.seq = messages.ticket
        WHERE messages.id = :message AND tickets.id = :id AND (:workspace IS NULL OR workspace = :workspace)
        """,
        {"id": ticket_id, "message": message_id, "workspace": caller.workspace},
    )
    if not row or row[0] is None:
        raise NotFound("There is no such message, or it has no HTML: look for its ticket in the list of tickets.")
    return str(row[0])
