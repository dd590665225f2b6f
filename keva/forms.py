"""Forms of the inbox that were carried out: one that is sent twice, by a double click or out of doubt, counts once."""

import hashlib
import json
import secrets

from keva.storage.transaction import Transaction

_KEPT = 10_000


def new_id() -> str:
    """What tells one form from another, made when it is shown."""
    return secrets.token_urlsafe(12)


def digest(user_id: str, form_id: str, typed: dict[str, str]) -> bytes:
    """The same for the same form with the same content, sent by the same user; changed, it is another one."""
    return hashlib.sha256(json.dumps([user_id, form_id, sorted(typed.items())]).encode()).digest()


def ticket_of(tx: Transaction, sent: bytes) -> str | None:
    """The id of the ticket that the form made or changed, if it was carried out already."""
    row = tx.one("SELECT id FROM sent_forms JOIN tickets ON tickets.seq = sent_forms.ticket WHERE digest = ?", (sent,))
    return str(row[0]) if row else None


def record(tx: Transaction, sent: bytes, ticket_id: str) -> None:
    """Notes that it was carried out, and forgets the oldest."""
    row = tx.one(
        "INSERT INTO sent_forms (digest, ticket) SELECT ?, seq FROM tickets WHERE id = ? RETURNING seq",
        (sent, ticket_id),
    )
    tx.all("DELETE FROM sent_forms WHERE seq <= ?", (row[0] - _KEPT,))
