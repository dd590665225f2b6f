"""Keeps the tickets of a file that were found right, in a file without a name, until all of them are stored."""

import marshal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from keva.errors import FileUnusable
from keva.transfer.records import TicketRecord


class MessageRow(NamedTuple):
    """A MessageRecord that was checked."""

    id: str | None
    direction: str
    sender_email: str | None
    sender_name: str | None
    body: str
    body_html: str | None
    created_at: str | None


class TicketRow(NamedTuple):
    """A TicketRecord that was checked."""

    id: str | None
    subject: str
    status: str
    priority: str
    customer_email: str
    customer_name: str | None
    source: str
    assigned_to: str | None
    resolution_type: str | None
    tags: list[str]
    created_at: str | None
    updated_at: str | None
    workspace_id: str | None
    messages: list[MessageRow]


_values_of_ticket = attrgetter(*TicketRow._fields[:-1])
_values_of_message = attrgetter(*MessageRow._fields)
_LENGTH = 8  # bytes before each ticket, which say how long it is


class Spool:
    """A file in `folder`, which is where the tickets will be: beside the database there is room, and nobody else reads.

    Gives tickets with the number of their line, in their order. FileUnusable where there is no room for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tickets = 0
        with self._telling():
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`

    def add(self, number: int, record: TicketRecord) -> None:
        messages = [_values_of_message(message) for message in record.messages]
        data = marshal.dumps((number, _values_of_ticket(record), messages))
        with self._telling():
            self._file.write(len(data).to_bytes(_LENGTH) + data)
        self.tickets += 1

    def __iter__(self) -> Iterator[tuple[int, TicketRow]]:
        with self._telling():
            self._file.seek(0)
        for _ in range(self.tickets):
            size = int.from_bytes(self._file.read(_LENGTH))
            number, values, messages = marshal.loads(self._file.read(size))
            yield number, TicketRow._make((*values, [MessageRow(*message) for message in messages]))

    def close(self) -> None:
        with self._telling():
            self._file.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileUnusable(f"{self._folder} cannot take the tickets to import: {error.strerror}.") from error
