"""Tickets in and out as JSON lines, at any size: all or none in, one moment's state out."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from keva.db import Desk
from keva.errors import Invalid
from keva.lines import MessageLine, TicketLine
from keva.sent import read_object
from keva.tickets import BLOCK, TICKET_JSON, message_json
from keva.tx import Read, Write

_AT_A_TIME = 500  # tickets that an export reads at once, and an import tells of
_CACHE = -65536  # KiB: ids are random, so that each one touches another page of their index


def import_lines(desk: Desk, lines: BinaryIO, told: Callable[[int], None]) -> int:
    """Stores a ticket for each line, all or none, and gives their number; now and then `told` gets the bytes read.

    Raises Invalid, which names the line and the field, for what does not fit or is there already.
    """
    number = size = 0
    with desk.write() as tx:
        tx.all(f"PRAGMA cache_size = {_CACHE}")
        intake = Intake(tx)
        with _counted_at_the_end(tx, intake):
            for number, line in enumerate(lines, 1):
                try:
                    intake.store(read_object(line, TicketLine, "The line"))
                except Invalid as error:
                    raise Invalid(f"Line {number}: {error.sentence} Nothing was imported.") from error
                size += len(line)
                if number % _AT_A_TIME == 0:
                    told(size)
    return number


def export_lines(desk: Desk, lines: BinaryIO, told: Callable[[int, int], None]) -> int:
    """Writes the line of each ticket, oldest first, as all was at one moment, and gives their number.

    Now and then `told` gets the number that is written, and that of all.
    """
    number = seq = 0
    with desk.snapshot() as tx:
        [(total,)] = tx.all("SELECT count(*) FROM tickets")
        while rows := _lines_after(tx, seq):
            seq = rows[-1][0]
            number += len(rows)
            lines.write("".join(line + "\n" for _, line in rows).encode())
            told(number, total)
    return number


class Intake:
    """Takes tickets as lines have them, in one transaction; `made` counts them by workspace, block and status."""

    def __init__(self, tx: Write) -> None:
        self._tx = tx
        self.made: Counter[tuple[int, int, str]] = Counter()
        self._workspaces = dict(tx.all("SELECT id, seq FROM workspaces"))
        [(self._first_workspace, self._seq)] = tx.all(
            "SELECT (SELECT min(seq) FROM workspaces), (SELECT ifnull(max(seq), 0) FROM tickets)"
        )

    def store(self, line: TicketLine) -> str:
        """Stores the ticket with its messages and gives its id; Invalid when one of the ids is taken."""
        self._seq += 1
        workspace = self._workspace(line.workspace_id)
        created_at = line.created_at or self._tx.now
        ticket_id = self._insert(
            """
            INSERT INTO tickets
              (id, seq, workspace, subject, status, priority, customer_email, customer_name, source, assigned_to,
               resolution_type, tags, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            "tkt",
            line.id,
            "id",
            self._seq,
            workspace,
            line.subject,
            line.status,
            line.priority,
            line.customer_email,
            line.customer_name,
            line.source,
            line.assigned_to,
            line.resolution_type,
            json.dumps(line.tags, ensure_ascii=False) if line.tags else "[]",
            created_at,
            line.updated_at or created_at,
        )
        for place, message in enumerate(line.messages):
            self._store_message(line, message, f"messages.{place}.id", created_at)
        self.made[workspace, self._seq // BLOCK, line.status] += 1
        return ticket_id

    def _store_message(self, line: TicketLine, message: MessageLine, field: str, created_at: str) -> None:
        from_customer = message.sender_email is None
        self._insert(
            """
            INSERT INTO messages (id, ticket, direction, sender_email, sender_name, body, body_html, created_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            "msg",
            message.id,
            field,
            self._seq,
            message.direction,
            line.customer_email if from_customer else message.sender_email,
            line.customer_name if from_customer and message.sender_name is None else message.sender_name,
            message.body,
            message.body_html,
            message.created_at or created_at,
        )

    def _insert(self, sql: str, prefix: str, given: str | None, field: str, *values: Any) -> str:
        """Inserts the row under the given id, or under the first minted one that is free."""
        while True:
            row_id = given or self._tx.mint(prefix)
            try:
                self._tx.all(sql, (row_id, *values))
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                    raise
                if given:
                    raise Invalid(f"{field} {given} is there already.") from error
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
def _counted_at_the_end(tx: Write, intake: Intake) -> Iterator[None]:
    """Sets the trigger aside that counts each ticket, which takes half of the time, and adds them all at once."""
    [(trigger,)] = tx.all("SELECT sql FROM sqlite_schema WHERE name = 'ticket_made'")
    tx.all("DROP TRIGGER ticket_made")
    yield
    for (workspace, block, status), tickets in intake.made.items():
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


def _lines_after(tx: Read, seq: int) -> list[tuple[int, str]]:
    return tx.all(
        f"""
        SELECT seq, json_patch({TICKET_JSON}, json_object(
          'messages', (
            SELECT json_group_array(json(message)) FROM
              (SELECT {message_json("tickets.id")} AS message FROM messages
               WHERE ticket = tickets.seq ORDER BY messages.seq)),
          'workspaceId', (SELECT id FROM workspaces WHERE seq = tickets.workspace)))
        FROM tickets WHERE seq > ? ORDER BY seq LIMIT ?
        """,
        (seq, _AT_A_TIME),
    )
