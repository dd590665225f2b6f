"""Erasing for good, as the law asks it of whoever runs a desk: tickets, messages, and all that hangs on them."""

import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from keva import erased
from keva.errors import NotFound, Unavailable
from keva.identity import is_id
from keva.models import Email, RequestModel
from keva.search.index import IndexMissing, SearchIndex
from keva.storage.database import Database
from keva.storage.transaction import Reader, Transaction


class Customer(RequestModel):
    """Whose tickets are asked for."""

    email: Email


@dataclass(frozen=True)
class Share:
    """What lies in one workspace: tickets with their messages, and messages in tickets that stay."""

    workspace_id: str
    workspace: str  # its name
    tickets: int
    messages: int
    messages_elsewhere: int


@dataclass(frozen=True)
class Found:
    """What is to be erased, by its seqs: whole tickets, and messages of tickets that stay."""

    tickets: list[int]
    messages: list[int]

    def __bool__(self) -> bool:
        return bool(self.tickets or self.messages)


def of_ticket(reader: Reader, ticket_id: str) -> Found:
    """The ticket with that id; NotFound when there is none."""
    row = is_id(ticket_id, "tkt") and reader.one("SELECT seq FROM tickets WHERE id = ?", (ticket_id,))
    if not row:
        raise NotFound(
            "There is no such ticket: its id stands in its address in the inbox, and in the list of tickets."
        )
    return Found([row[0]], [])


def of_customer(reader: Reader, email: str) -> Found:
    """The customer's tickets, and what they wrote in those of others, in all workspaces, whatever the email's case.

    A ticket of somebody else that would have no message left is erased with it. It reads all tickets and messages: an
    index of all emails would cost every create.
    """
    tickets = reader.all("SELECT seq FROM tickets WHERE customer_email = ? COLLATE NOCASE", (email,))
    elsewhere = reader.all(
        """
        SELECT messages.seq, ticket FROM messages JOIN tickets ON tickets.seq = ticket
        WHERE sender_email = :email COLLATE NOCASE AND direction = 'inbound' AND customer_email <> :email COLLATE NOCASE
        """,
        {"email": email},
    )
    emptied = reader.all(
        """
        SELECT DISTINCT ticket FROM messages AS theirs WHERE seq IN (SELECT value FROM json_each(:messages))
          AND NOT EXISTS (SELECT 1 FROM messages
            WHERE ticket = theirs.ticket AND seq NOT IN (SELECT value FROM json_each(:messages)))
        """,
        {"messages": _array(seq for seq, _ in elsewhere)},
    )
    whole = [seq for (seq,) in tickets + emptied]
    gone = {seq for (seq,) in emptied}
    return Found(whole, [seq for seq, ticket in elsewhere if ticket not in gone])


def shares(reader: Reader, found: Found) -> list[Share]:
    """How much of it each workspace has, those that have any."""
    rows = reader.all(
        """
        SELECT workspaces.id, workspaces.name,
          count(DISTINCT tickets.seq) FILTER (WHERE whole), count(*) FILTER (WHERE whole),
          count(*) FILTER (WHERE NOT whole)
        FROM (
          SELECT ticket, true AS whole FROM messages WHERE ticket IN (SELECT value FROM json_each(:tickets))
          UNION ALL SELECT ticket, false FROM messages WHERE seq IN (SELECT value FROM json_each(:messages)))
        JOIN tickets ON tickets.seq = ticket JOIN workspaces ON workspaces.seq = workspace
        GROUP BY workspaces.seq ORDER BY workspaces.seq
        """,
        {"tickets": _array(found.tickets), "messages": _array(found.messages)},
    )
    return [Share(*row) for row in rows]


def erase(tx: Transaction, found: Found) -> None:
    """Deletes it with its events, their deliveries and the forms that made it; no event tells of that.

    Afterwards `scrub` has to take it out of the files.
    """
    tickets = _array(found.tickets)
    messages = _seqs(
        tx,
        """
        SELECT seq FROM messages WHERE ticket IN (SELECT value FROM json_each(?1))
        UNION SELECT value FROM json_each(?2)
        """,
        tickets,
        _array(found.messages),
    )
    events = _seqs(
        tx,
        """
        SELECT seq FROM events WHERE ticket IN (SELECT value FROM json_each(?1))
        UNION SELECT seq FROM events WHERE message IN (SELECT value FROM json_each(?2))
        """,
        tickets,
        messages,
    )
    # For each row that is deleted SQLite looks for those that name it: without these it would read all, each time.
    tx.all("CREATE INDEX events_of_message ON events (message)")
    tx.all("CREATE INDEX deliveries_of_event ON deliveries (event)")
    _name_last_messages(tx, messages)
    _note_ids(tx, tickets, messages)
    _delete(tx, "deliveries", "event", events)
    _delete(tx, "events", "seq", events)
    _delete(tx, "sent_forms", "ticket", tickets)
    _delete(tx, "messages", "seq", messages)
    _delete(tx, "tickets", "seq", tickets)
    tx.all("DROP INDEX events_of_message")
    tx.all("DROP INDEX deliveries_of_event")
    tx.all("UPDATE erased SET times = times + 1")


def scrub(database: Database) -> bool:
    """Takes what was erased out of the files, where no trace of it is to be left; False when that was done already.

    Unavailable when it cannot be done now: it may be called again at any time.
    """
    with database.read() as reader:
        times, scrubbed = reader.one("SELECT times, scrubbed FROM erased")
    if times == scrubbed:
        return False
    try:
        with closing(SearchIndex(database.path)) as index:
            index.drop_erased()
    except IndexMissing as error:
        raise Unavailable(str(error)) from error
    database.rewrite()
    with database.write() as tx:
        tx.all("UPDATE erased SET scrubbed = max(scrubbed, ?)", (times,))
    return True


def _name_last_messages(tx: Transaction, messages: str) -> None:
    """Of the tickets that stay and lose their last one; who waits is told as for a ticket that comes from elsewhere."""
    tx.all(
        """
        UPDATE tickets SET (last_message, waiting) = (
          SELECT seq, direction = 'inbound' AND tickets.status IN ('open', 'pending') FROM messages
          WHERE ticket = tickets.seq AND seq NOT IN (SELECT value FROM json_each(:messages)) ORDER BY seq DESC LIMIT 1)
        WHERE seq IN (SELECT ticket FROM messages WHERE seq IN (SELECT value FROM json_each(:messages)))
          AND last_message IN (SELECT value FROM json_each(:messages))
          AND EXISTS (SELECT 1 FROM messages
            WHERE ticket = tickets.seq AND seq NOT IN (SELECT value FROM json_each(:messages)))
        """,
        {"messages": messages},
    )


def _note_ids(tx: Transaction, tickets: str, messages: str) -> None:
    rows = tx.all(
        """
        SELECT id FROM tickets WHERE seq IN (SELECT value FROM json_each(?1))
        UNION ALL SELECT id FROM messages WHERE seq IN (SELECT value FROM json_each(?2))
        """,
        (tickets, messages),
    )
    erased.note(tx, (row[0] for row in rows))


def _delete(tx: Transaction, table: str, column: str, seqs: str) -> None:
    tx.all(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", (seqs,))


def _seqs(tx: Transaction, sql: str, tickets: str, messages: str) -> str:
    return _array(row[0] for row in tx.all(sql, (tickets, messages)))


def _array(seqs: Iterable[int]) -> str:
    """As SQL takes many of them at once."""
    return json.dumps(list(seqs))
