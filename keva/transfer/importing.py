"""Tickets in from a file: all of it is read and checked, and then all of it is stored or nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import BinaryIO

from keva.erased import ERASED, ErasedIds
from keva.errors import Invalid
from keva.storage.database import Database
from keva.storage.transaction import Reader, Transaction
from keva.transfer.findings import TOLD, Findings
from keva.transfer.importer import Taken, TicketImporter, counted_at_the_end
from keva.transfer.reading import Records
from keva.transfer.records import TicketRecord
from keva.transfer.shortening import shorten
from keva.transfer.spool import Spool, TicketRow
from keva.validation import read_fields, validate

_REPORT_EVERY = 500  # tickets
_CACHE = -65536  # KiB: ids are random, so that each one touches another page of their index


class Import:
    """One import by way of `spool`: `read`, then `compare` or `store`.

    Only `store` needs the writer, and has it for some 60% of the time that the whole import takes.
    """

    def __init__(self, spool: Spool, skip_existing: bool = False, truncate: bool = False) -> None:
        self._spool, self._skip_existing, self._truncate = spool, skip_existing, truncate
        self.noun = "Line"
        self.findings = Findings()
        self.skipped = 0  # tickets that are there already
        self.shortened: list[str] = []  # of the first lines
        self.shortened_lines = 0

    @property
    def tickets(self) -> int:
        return self._spool.tickets - self.skipped

    def read(self, file: BinaryIO, on_progress: Callable[[int], None]) -> None:
        """Checks each line by itself; `on_progress` gets the bytes read so far."""
        number = 0
        records = Records(file)
        try:
            for number, record in records:
                self.noun = records.noun
                self._check(number, record)
                if number % _REPORT_EVERY == 0:
                    on_progress(records.size)
        except Invalid as error:
            self.noun = records.noun
            self.findings.add(number + 1, error)

    def compare(self, reader: Reader | None) -> None:
        """Finds the ids that stand in the file twice, or in the database, where there is one."""
        self.skipped = 0
        with closing(sqlite3.connect("", isolation_level=None)) as seen:
            seen.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
            erased = ErasedIds(reader)
            for number, ticket in self._spool:
                taken = reader is not None and ticket.id is not None and _is_there(reader, "tickets", ticket.id)
                if self._skip_existing and (taken or ticket.id in erased):
                    self.skipped += 1
                elif details := [*self._clashes(seen, erased, reader, ticket)]:
                    self.findings.add(number, Invalid("", details))

    def store(self, database: Database, on_progress: Callable[[int, int], None]) -> None:
        """Stores all in one transaction; ImportRefused where ids are taken, and then nothing is stored.

        `on_progress` gets the number of tickets stored so far, and of all.
        """
        try:
            with database.write() as tx:
                self.skipped = self._store(tx, on_progress)
        except Taken as taken:
            with database.read() as reader:
                self.compare(reader)
            raise self.findings.refusal(self.noun) from taken

    def _check(self, number: int, record: bytes) -> None:
        try:
            fields = read_fields(record, TicketRecord, f"The {self.noun.lower()}")
            told = shorten(fields) if self._truncate else []
            self._spool.add(number, validate(TicketRecord, fields))
        except Invalid as error:
            self.findings.add(number, error)
            return
        if told:
            self.shortened_lines += 1
            if self.shortened_lines <= TOLD:
                self.shortened.append(f"{number}: {'; '.join(told)}.")

    def _clashes(
        self, seen: sqlite3.Connection, erased: ErasedIds, reader: Reader | None, ticket: TicketRow
    ) -> Iterator[dict[str, str]]:
        """A detail for each id of the ticket that is another's."""
        ids = [("id", "tickets", ticket.id)]
        ids += [(f"messages.{index}.id", "messages", message.id) for index, message in enumerate(ticket.messages)]
        for field, table, given in ids:
            if given is None:
                continue
            if reader and _is_there(reader, table, given):
                yield {"field": field, "message": f"{given} is there already"}
            elif given in erased:
                yield {"field": field, "message": f"{given} {ERASED}"}
            elif not seen.execute("INSERT INTO seen VALUES (?) ON CONFLICT DO NOTHING", (given,)).rowcount:
                yield {"field": field, "message": f"{given} stands in the file before"}

    def _store(self, tx: Transaction, on_progress: Callable[[int, int], None]) -> int:
        """Gives the number of tickets that were left out."""
        tx.all(f"PRAGMA cache_size = {_CACHE}")
        importer = TicketImporter(tx)
        skipped = 0
        with counted_at_the_end(tx, importer):
            for done, (_, ticket) in enumerate(self._spool, 1):
                if self._skip_existing and ticket.id and importer.was_there(ticket.id):
                    skipped += 1
                else:
                    importer.store(ticket)
                if done % _REPORT_EVERY == 0:
                    on_progress(done, self._spool.tickets)
        return skipped


def _is_there(reader: Reader, table: str, given: str) -> bool:
    return reader.one(f"SELECT 1 FROM {table} WHERE id = ?", (given,)) is not None
