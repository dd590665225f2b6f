"""Stores ticket records, as an import, a seed or a test has them."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from keva.erased import ERASED, ErasedIds
from keva.errors import Invalid
from keva.seqs import following
from keva.storage.transaction import Transaction
from keva.tickets import BLOCK
from keva.transfer.records import MessageRecord, TicketRecord
from keva.transfer.spool import MessageRow, TicketRow

Ticket = TicketRecord | TicketRow

_TAGS = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make one for each ticket


class Taken(Invalid):
    """An id that another has."""


class TicketImporter:
    """Stores ticket records in one transaction; `counts` has their number by workspace, block and status."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.counts: Counter[tuple[int, int, str]] = Counter()
        self._workspaces = dict(tx.all("SELECT id, seq FROM workspaces"))
        [(self._first_workspace, self._next_seq, self._next_message, self.found_tickets)] = tx.all(
            f"""
            SELECT (SELECT min(seq) FROM workspaces), {following("tickets")}, {following("messages")},
              EXISTS (SELECT 1 FROM tickets)
            """
        )
        self._erased = ErasedIds(tx)
        self._first_seq = self._next_seq

    def was_there(self, ticket_id: str) -> bool:
        """Whether a ticket had that id before this transaction, or one that was erased."""
        row = self._tx.one("SELECT 1 FROM tickets WHERE id = ? AND seq < ?", (ticket_id, self._first_seq))
        return row is not None or ticket_id in self._erased

    def store(self, record: Ticket) -> str:
        """Stores the ticket with its messages and gives its id; Taken when one of the ids is another's."""
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        workspace = self._workspace(record.workspace_id)
        created_at = record.created_at or self._tx.now
        ticket_id = self._insert(
            """
            INSERT INTO tickets
              (id, seq, workspace, subject, status, priority, customer_email, customer_name, source, assigned_to,
               resolution_type, tags, created_at, updated_at, last_message, waiting)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            "tkt",
            record.id,
            "id",
            seq,
            workspace,
            record.subject,
            record.status,
            record.priority,
            record.customer_email,
            record.customer_name,
            record.source,
            record.assigned_to,
            record.resolution_type,
            _TAGS.encode(record.tags) if record.tags else "[]",
            created_at,
            record.updated_at or created_at,
            self._next_message + len(record.messages) - 1,
            record.messages[-1].direction == "inbound" and record.status in ("open", "pending"),
        )
        messages: Sequence[MessageRecord | MessageRow] = record.messages
        for index, message in enumerate(messages):
            self._store_message(seq, record, message, f"messages.{index}.id", created_at)
        self.counts[workspace, seq // BLOCK, record.status] += 1
        return ticket_id

    def _store_message(
        self, ticket: int, record: Ticket, message: MessageRecord | MessageRow, field: str, created_at: str
    ) -> None:
        seq, self._next_message = self._next_message, self._next_message + 1
        from_customer = message.sender_email is None
        self._insert(
            """
            INSERT INTO messages (id, seq, ticket, direction, sender_email, sender_name, body, body_html, created_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            "msg",
            message.id,
            field,
            seq,
            ticket,
            message.direction,
            record.customer_email if from_customer else message.sender_email,
            record.customer_name if from_customer and message.sender_name is None else message.sender_name,
            message.body,
            message.body_html,
            message.created_at or created_at,
        )

    def _insert(self, sql: str, prefix: str, given: str | None, field: str, *values: Any) -> str:
        """Inserts the row under the given id, or under the first minted one that is free."""
        if given in self._erased:
            raise Taken(f"{field} {given} {ERASED}.")
        while True:
            row_id = given or self._tx.mint(prefix)
            try:
                self._tx.all(sql, (row_id, *values))
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                    raise
                if given:
                    raise Taken(f"{field} {given} is there already.") from error
            else:
                return row_id

    def _workspace(self, workspace_id: str | None) -> int:
        if workspace_id is None:
            return int(self._first_workspace)
        if workspace_id not in self._workspaces:
            [(seq,)] = self._tx.all(
                "INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?) RETURNING seq",
                (workspace_id, workspace_id, self._tx.now),
            )
            self._workspaces[workspace_id] = seq
        return int(self._workspaces[workspace_id])


@contextmanager
def counted_at_the_end(tx: Transaction, importer: TicketImporter) -> Iterator[None]:
    """Drops the counting trigger for the import and adds the totals once at the end, which is twice as fast."""
    [(trigger,)] = tx.all("SELECT sql FROM sqlite_schema WHERE name = 'ticket_inserted'")
    tx.all("DROP TRIGGER ticket_inserted")
    yield
    for (workspace, block, status), tickets in importer.counts.items():
        tx.all(
            """
            INSERT INTO ticket_counts VALUES
              (:workspace, -1, :status, :tickets), (:workspace, :block, :status, :tickets),
              (0, -1, :status, :tickets), (0, :block, :status, :tickets)
            ON CONFLICT DO UPDATE SET tickets = tickets + excluded.tickets
            """,
            {"workspace": workspace, "block": block, "status": status, "tickets": tickets},
        )
    tx.all(trigger)
