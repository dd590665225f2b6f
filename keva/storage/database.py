"""The database file of a desk: hands out readers and write transactions, each of one time and all or nothing."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from keva.errors import FileUnusable, Unavailable
from keva.storage import images, opening, schema
from keva.storage.group_commit import GroupCommit
from keva.storage.lock import FileLock
from keva.storage.paths import LOCK, beside
from keva.storage.pool import BorrowedReader, ReaderPool
from keva.storage.transaction import Reader, Transaction
from keva.storage.write_connection import WriteConnection
from keva.storage.writer import Write, Writer
from keva.times import timestamp

T = TypeVar("T")

_HEALTH_SECONDS = 1.0  # between two test writes: anybody may ask for the health


class Companion(Protocol):
    """What lives beside a database: it ends with it, and forgets what was there when that is emptied."""

    def forget(self) -> None: ...
    def close(self) -> None: ...


class Database:
    """The database at `path`, made when there is none and `create`; FileUnusable where it cannot be used.

    `clock` gives epoch seconds. One made `for_tests` may be emptied, and a power cut may cost what was answered.
    """

    def __init__(
        self,
        path: Path,
        mint: Callable[[str], str],
        clock: Callable[[], float] = time.time,
        create: bool = True,
        for_tests: bool = False,
    ) -> None:
        self.path, self.mint, self.clock, self._for_tests = path.resolve(), mint, clock, for_tests
        self._readers = ReaderPool(lambda: opening.connect_to_read(self.path))
        self.companions: list[Companion] = []
        self._serving: FileLock | None = None
        self._checked = -_HEALTH_SECONDS  # when the health was last checked by a write
        with opening.reporting_errors(path):
            opening.refuse_foreign(self.path, create)
            self._file = os.stat(self.path)
            self._lock = FileLock(beside(self.path, LOCK))
            connection = WriteConnection(
                lambda: opening.connect_to_write(self.path, self._lock, mint, self.now, for_tests),
                self._lock,
                self.path,
                self._is_in_place,
                guards_wal=not for_tests,
            )
        self.writer = Writer(connection, lambda opened: Transaction(opened, self.now(), self.mint))
        self._group = GroupCommit(self.writer)

    def read(self) -> BorrowedReader:
        """For single statements: `with database.read() as reader`, for whose length a connection is its own."""
        return self._readers.reader()

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """For several statements that must see one and the same state."""
        with self.read() as reader:
            reader.all("BEGIN")
            try:
                yield reader
            finally:
                reader.all("ROLLBACK")

    def write(self) -> Write:
        """Stores all of the block or, after an exception, nothing of it; Unavailable when that cannot be now.

        Once the block is left without an exception, what it wrote would survive a power cut.
        """
        return self.writer.write()

    def write_in_group(self, work: Callable[[Transaction], T]) -> T:
        """What `work` gives, stored as by `write`, and sooner where several threads call it at a time.

        It may be run twice, and by another of these threads.
        """
        return self._group.run(work)

    def rewrite(self) -> None:
        """Writes the file anew from what it holds, and empties the WAL: nothing that was deleted is in either then."""
        self.writer.rewrite()

    def now(self) -> str:
        """The desk's time, as the API shows it."""
        return timestamp(self.clock())

    def image(self) -> bytes:
        """All that is stored now, for `put_back`."""
        with self.read() as reader:
            return reader.image()

    def put_back(self, image: bytes) -> None:
        """Has a database for tests hold what the image does; others refuse. Open connections see it at once."""
        assert self._for_tests
        with closing(images.opened(image)) as source:
            self.writer.overwrite_with(source)
        for companion in self.companions:
            companion.forget()

    def claim(self) -> None:
        """Makes this the one server of the file until `close`; FileUnusable where there is one."""
        self._serving = opening.claim(self.path)
        if not self._is_in_place():
            raise FileUnusable(f"{self.path} was replaced just now: try again.")

    def check_health(self) -> None:
        """Raises Unavailable with the reason when the database does not answer or take writes."""
        with self.read() as reader:
            reader.one("SELECT count(*) FROM workspaces")
        if time.perf_counter() - self._checked > _HEALTH_SECONDS:
            self._checked = time.perf_counter()
            with self.write() as tx:
                tx.all(f"PRAGMA user_version = {schema.VERSION}")  # changes nothing, and is written all the same
        elif self.writer.trouble:
            raise Unavailable(self.writer.trouble)

    def close(self) -> None:
        """The writer closes last and folds the WAL into the file.

        After a failed sync it closes first, while a reader is kept open on purpose: the last connection to close
        would checkpoint a WAL that may not be on disk.
        """
        with ExitStack() as ends:  # the last one first, and each whatever befalls the others
            if self._serving:
                ends.callback(self._serving.close)
            ends.callback(self._lock.close)
            ends.callback(self.writer.close)
            ends.callback(self._readers.close)
            for companion in self.companions:
                ends.callback(companion.close)
            if self.writer.broken:
                with self.read() as reader:
                    reader.one("SELECT count(*) FROM workspaces")
                    self.writer.close()

    def _is_in_place(self) -> bool:
        """False once the file that is open is no longer the one at its path, as after a restore.

        A desk for tests never loses its file, and a suite may have put something else in the place of os.stat.
        """
        if self._for_tests:
            return True
        try:
            return os.path.samestat(os.stat(self.path), self._file)
        except OSError:
            return False
