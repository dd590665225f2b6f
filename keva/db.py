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

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from keva import copies, disk, schema
from keva.errors import CannotStart, Unavailable
from keva.lock import FileLock
from keva.log import LOG
from keva.tx import Read, Write
from keva.writer import PATIENCE, Writer

LOCK, SERVING = "-lock", "-serving"  # files beside the database: whose turn it is to write, who serves
_HEALTH_SECONDS = 1.0  # between two tries to write: anybody may ask for the health
_BUSY_SECONDS = 0.1  # for what is not ours, and for readers when the WAL is to be written anew


class Desk:
    """The database at `path`, made when there is none and `create`; CannotStart where it cannot be used.

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
        self._thread = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._serving: FileLock | None = None
        self._as_new: sqlite3.Connection | None = None
        self._checked = -_HEALTH_SECONDS  # when health was last asked for by a write
        with told_of(path):
            _refuse_foreign(self.path, create)
            self._file = os.stat(self.path)
            self._lock = FileLock(beside(self.path, LOCK))
            self._writer = self._open()

    def read(self) -> Read:
        """For single statements, on a connection that stays open and is this thread's own."""
        reader: Read | None = getattr(self._thread, "reader", None)
        if reader is None:
            try:
                connection = _connect_to_read(self.path)
            except sqlite3.DatabaseError as error:
                raise disk.unavailable(error) from error
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
        """The desk's time, as the API shows it."""
        return timestamp(self.clock())

    def empty(self) -> None:
        """Makes a desk for tests as new, which others are refused; connections stay open and see it at once."""
        assert self._for_tests
        if self._as_new is None:
            self._as_new = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._make(self._as_new)
        self._writer.fill_from(self._as_new)

    def claim(self) -> None:
        """Makes this the one server of the file until `close`; CannotStart where there is one."""
        self._serving = FileLock(beside(self.path, SERVING))
        if not self._serving.acquire():
            raise CannotStart(f"{self.path} is being served already: stop that server, or name another file with --db.")
        if not self._is_in_place():
            raise CannotStart(f"{self.path} was replaced just now: try again.")

    def _is_in_place(self) -> bool:
        """False once the file that is open is no longer the one at its path, as after a restore."""
        try:
            return os.path.samestat(os.stat(self.path), self._file)
        except OSError:
            return False

    def disclaim(self) -> None:
        if self._serving:
            self._serving.close()
            self._serving = None

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
        """The writer goes last and folds the WAL into the file; after a failed sync first, so that nobody does."""
        if self._writer.broken:
            self.read().one("SELECT count(*) FROM workspaces")  # which keeps its lock, and so the WAL
            self._writer.close()
        for reader in self._readers:
            reader.close()
        self._writer.close()
        if self._as_new:
            self._as_new.close()
        self._lock.close()
        self.disclaim()

    def _open(self) -> Writer:
        connection = _connect(self.path)
        try:
            version = schema.version_of(connection)
            if version:
                self._check_purpose(connection)
            if version < schema.VERSION:
                self._bring_up_to_date(connection)
            self._check_purpose(connection)  # another process may have made it meanwhile
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'OFF' if self._for_tests else 'FULL'}")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("PRAGMA journal_size_limit = 16777216")  # what a long backup made it grow to, cut again
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # makes the WAL, if there is none
            return Writer(connection, self._lock, beside(self.path, "-wal"), self._is_in_place)
        except BaseException:
            connection.close()
            raise

    def _check_purpose(self, connection: sqlite3.Connection) -> None:
        """So that no reset ever meets real tickets."""
        if self._for_tests and not schema.is_for_tests(connection):
            raise schema.NotOurs("may hold real tickets: only a file first made under --control is taken.")
        if schema.is_for_tests(connection) and not self._for_tests:
            raise schema.NotOurs("is a desk for tests, which may be emptied: only serve --control takes it.")

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        """Makes the tables, or migrates them, unless another process was faster."""
        if not self._lock.acquire(PATIENCE):
            raise CannotStart(f"Another Keva command is writing to {self.path}: try again when it is done.")
        try:
            version = schema.version_of(connection)
            if version == 0:
                self._make(connection)
            elif version < schema.VERSION:
                self._migrate(connection, version)
        finally:
            self._lock.release()

    def _make(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        schema.create(connection, self._for_tests)
        first = (self.mint("ws"), "Support", self.now())
        connection.execute("INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?)", first)
        connection.execute("COMMIT")

    def _migrate(self, connection: sqlite3.Connection, version: int) -> None:
        self.claim()  # an older server would not understand what it serves
        try:
            kept = free_name(self.path, f"schema-{version}")
            copies.copy(connection, kept)
            LOG.warning(
                "%s is brought from schema %d to %d; a copy is kept: %s", self.path, version, schema.VERSION, kept
            )
            for step in range(version, schema.VERSION):
                schema.upgrade(connection, step)
        finally:
            self.disclaim()


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads a file of ours, served or not; CannotStart where there is none such."""
    with told_of(path):
        _refuse_foreign(path.resolve(), create=False)
        with closing(_connect_to_read(path.resolve())) as connection:
            if schema.version_of(connection) == 0:
                raise schema.NotOurs("is empty.")
            yield connection


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """While it is held, nobody serves the file or writes to it; CannotStart where somebody does."""
    with ExitStack() as stack:
        for ending in (SERVING, LOCK):
            lock = FileLock(beside(path, ending))
            stack.callback(lock.close)
            if not lock.acquire():
                raise CannotStart(
                    f"{path} is in use: stop its server first, or wait for the command that writes to it."
                )
        yield


def _connect(path: Path) -> sqlite3.Connection:
    # Connections are closed by another thread than the one that uses them.
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def timestamp(seconds: float) -> str:
    """Epoch seconds as the API shows a time: UTC, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def beside(path: Path, ending: str) -> Path:
    """The file that goes with the database at `path`."""
    return path.with_name(path.name + ending)


def free_name(path: Path, why: str) -> Path:
    """A name beside `path`, of what is kept of it, that nothing has yet."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.{why}-{stamp}{count}") for count in ("", *(f"-{n}" for n in range(2, 100))))
    return next(name for name in names if not name.exists())


def _refuse_foreign(path: Path, create: bool) -> None:
    """Before anything is made beside it: a file that is not ours stays as it is."""
    if not path.exists():
        if not create:
            raise FileNotFoundError(errno.ENOENT, "there is no such file")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(_connect_to_read(path)) as connection:
        schema.version_of(connection)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    name = f"{path.as_uri()}?mode=ro"
    return sqlite3.connect(name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """CannotStart for what the system says of the file and its folder."""
    try:
        yield
    except OSError as error:
        raise CannotStart(f"{path} cannot be opened: {error.strerror}.") from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise CannotStart(f"{path} is not a Keva database: name another file.") from error
        if not os.access(path.absolute().parent, os.W_OK):
            raise CannotStart(f"{path} cannot be used: its folder cannot be written to.") from error
        raise CannotStart(f"{path} cannot be used: {error}.") from error
    except schema.NotOurs as error:
        raise CannotStart(f"{path} {error}") from error
