"""One file: opened, read, and written in transactions of one moment each."""

# Who may write, in one paragraph. All writes go through one connection (writer.py), and whoever uses it holds two
# locks: a lock of this process, which its threads pass from hand to hand, and a lock between processes (FILE-lock
# beside the database), held from BEGIN IMMEDIATE to the end of COMMIT and of the checkpoint that may follow. So no
# commit and no checkpoint ever meets another, of whatever process: a command that writes beside a running server waits
# for the end of the server's transaction, and the server for the end of the command's. Threads that wait for their
# turn share a commit: each writes inside a savepoint of its own, which alone is undone when it fails; whoever finds
# somebody waiting leaves the transaction open for him, and waits outside the turn until the last one has committed
# for all. Nobody leaves `write` before his write is safe on disk, but by an exception. Readers take no lock of ours:
# in WAL mode each statement sees the last commit, whoever is writing.

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from keva import schema
from keva.errors import CannotStart, Unavailable
from keva.lock import FileLock
from keva.tx import Read, Write
from keva.writer import PATIENCE, Writer

_HEALTH_SECONDS = 1.0  # between two tries to write: anybody may ask for the health
_BUSY_SECONDS = 0.1  # for what is not ours, and for readers when the WAL is to be written anew


class Desk:
    """The database at `path`, made when there is none; CannotStart where it cannot be used.

    `clock` gives epoch seconds. Not `durable`: a power cut may cost what was answered, which a test does not mind.
    """

    def __init__(
        self,
        path: Path,
        mint: Callable[[str], str],
        clock: Callable[[], float] = time.time,
        durable: bool = True,
    ) -> None:
        self.path, self.mint, self.clock = path.absolute(), mint, clock
        self._thread = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._serving: FileLock | None = None
        self._checked = -_HEALTH_SECONDS  # when health was last asked for by a write
        with _sentence_for(path):
            _refuse_foreign(self.path)
            self._lock = FileLock(_beside(self.path, "-lock"))
            self._writer = self._open("FULL" if durable else "OFF")

    def read(self) -> Read:
        """For single statements, on a connection that stays open and is this thread's own."""
        reader: Read | None = getattr(self._thread, "reader", None)
        if reader is None:
            connection = _connect(self.path)
            connection.execute("PRAGMA query_only = ON")
            self._readers.append(connection)
            reader = self._thread.reader = Read(connection)
        return reader

    @contextmanager
    def snapshot(self) -> Iterator[Read]:
        """For several statements that must see one and the same state."""
        tx = self.read()
        tx.all("BEGIN")
        try:
            yield tx
        finally:
            tx.all("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Write]:
        """Stores all of the block or, after an exception, nothing of it; Unavailable when that cannot be now."""
        with self._writer.transaction() as connection:
            yield Write(connection, self.now(), self.mint)

    def now(self) -> str:
        """The desk's time, as the API shows it: UTC, whole seconds."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock()))

    def claim(self) -> None:
        """Makes this the one server of the file until `close`; CannotStart where there is one."""
        self._serving = FileLock(_beside(self.path, "-serving"))
        if not self._serving.acquire():
            raise CannotStart(f"{self.path} is being served already: stop that server, or name another file with --db.")

    def check_health(self) -> None:
        """Raises Unavailable with the reason when the database does not answer or take writes."""
        self.read().one("SELECT count(*) FROM workspaces")
        if time.perf_counter() - self._checked > _HEALTH_SECONDS:
            self._checked = time.perf_counter()
            with self.write() as tx:
                tx.all(f"PRAGMA user_version = {schema.VERSION}")  # changes nothing, and is written all the same
        elif self._writer.trouble:
            raise Unavailable(self._writer.trouble)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        self._writer.close()
        self._lock.close()
        if self._serving:
            self._serving.close()

    def _open(self, synchronous: str) -> Writer:
        connection = _connect(self.path)
        try:
            if schema.is_new(connection):
                self._make(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("PRAGMA journal_size_limit = 16777216")  # what a long backup made it grow to, cut again
            connection.execute("PRAGMA foreign_keys = ON")
            return Writer(connection, self._lock, _beside(self.path, "-wal"))
        except BaseException:
            connection.close()
            raise

    def _make(self, connection: sqlite3.Connection) -> None:
        """Makes the tables and the first workspace, unless another process was faster."""
        if not self._lock.acquire(PATIENCE):
            raise CannotStart(f"Another Keva command is writing to {self.path}: try again when it is done.")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            if schema.is_new(connection):
                schema.create(connection)
                first = (self.mint("ws"), "Support", self.now())
                connection.execute("INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?)", first)
            connection.execute("COMMIT")
        finally:
            self._lock.release()


def _connect(path: Path) -> sqlite3.Connection:
    # Connections are closed by another thread than the one that uses them.
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _refuse_foreign(path: Path) -> None:
    """Before anything is made beside it: a file that is not ours stays as it is."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        schema.is_new(connection)


@contextmanager
def _sentence_for(path: Path) -> Iterator[None]:
    """CannotStart for what the system says of the file and its folder."""
    try:
        yield
    except OSError as error:
        raise CannotStart(f"{path} cannot be opened: {error.strerror}.") from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise CannotStart(f"{path} is not a Keva database: name another file with --db.") from error
        raise CannotStart(f"{path} cannot be used: {error}.") from error
    except schema.NotOurs as error:
        raise CannotStart(f"{path} {error}") from error
