"""Tickets out as JSON lines, all of one state, read and written row by row."""

import json
from collections.abc import Callable, Generator
from contextlib import closing
from typing import BinaryIO

from keva.storage.database import Database
from keva.storage.transaction import Reader
from keva.tickets import TICKET_JSON, message_json

_REPORT_EVERY = 500  # tickets
_WRITE = 64 * 1024  # characters, and one more message

Messages = Generator[tuple[int, str], None, None]


def export_tickets(database: Database, lines: BinaryIO, on_progress: Callable[[int, int], None]) -> int:
    """Writes a line for each ticket, oldest first, all of one state, and gives their number.

    `on_progress` gets the number written so far, and the number of all.
    """
    number = 0
    with database.snapshot() as reader:
        [(total,)] = reader.all("SELECT count(*) FROM tickets")
        with closing(_tickets(reader)) as tickets, closing(_messages(reader)) as messages:
            line = _Line(lines, messages)
            for number, (seq, ticket, workspace) in enumerate(tickets, 1):
                line.write(seq, ticket, workspace)
                if number % _REPORT_EVERY == 0:
                    line.flush()
                    on_progress(number, total)
            line.flush()
    on_progress(number, total)
    return number


class _Line:
    """Writes the line of one ticket after the other; `messages` are those of all of them, in their order."""

    def __init__(self, lines: BinaryIO, messages: Messages) -> None:
        self._lines, self._messages = lines, messages
        self._next = next(messages, None)
        self._parts: list[str] = []
        self._size = 0

    def write(self, seq: int, ticket: str, workspace: str) -> None:
        self._put(f'{ticket[:-1]},"messages":[')
        separator = ""
        while self._next and self._next[0] == seq:
            self._put(separator + self._next[1])
            separator, self._next = ",", next(self._messages, None)
        self._put(f'],"workspaceId":{json.dumps(workspace)}}}\n')

    def flush(self) -> None:
        self._lines.write("".join(self._parts).encode())
        self._parts, self._size = [], 0

    def _put(self, part: str) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > _WRITE:
            self.flush()


def _tickets(reader: Reader) -> Generator[tuple[int, str, str], None, None]:
    yield from reader.each(
        f"""
        SELECT seq, {TICKET_JSON}, (SELECT id FROM workspaces WHERE seq = tickets.workspace)
        FROM tickets ORDER BY seq
        """
    )


def _messages(reader: Reader) -> Messages:
    """Each with the seq of its ticket, by ticket and then by age."""
    yield from reader.each(
        f"""
        SELECT ticket, {message_json("tickets.id")} FROM tickets JOIN messages ON ticket = tickets.seq
        ORDER BY tickets.seq, messages.seq
        """
    )
