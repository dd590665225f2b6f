"""Tickets out as JSON lines, all of one state."""

from collections.abc import Callable
from typing import BinaryIO

from keva.storage.database import Database
from keva.storage.transaction import Reader
from keva.tickets import TICKET_JSON, message_json

_AT_A_TIME = 500  # tickets read at once


def export_tickets(database: Database, lines: BinaryIO, on_progress: Callable[[int, int], None]) -> int:
    """Writes a line for each ticket, oldest first, all of one state, and gives their number.

    `on_progress` gets the number written so far, and the number of all.
    """
    number = seq = 0
    with database.snapshot() as reader:
        [(total,)] = reader.all("SELECT count(*) FROM tickets")
        while rows := _lines_after(reader, seq):
            seq = rows[-1][0]
            number += len(rows)
            lines.write("".join(line + "\n" for _, line in rows).encode())
            on_progress(number, total)
    return number


def _lines_after(reader: Reader, seq: int) -> list[tuple[int, str]]:
    return reader.all(
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
