"""Opens a database file: refuses what is not ours, makes or migrates the tables, connects."""

import errno
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from keva.errors import FileUnusable
from keva.log import LOG
from keva.storage import copies, schema
from keva.storage.lock import FileLock
from keva.storage.paths import LOCK, SERVING, SHM, WAL, beside, free_name
from keva.storage.write_connection import PATIENCE

_BUSY_SECONDS = 0.1  # how long to wait for another program's lock, or for readers during a checkpoint
_KEPT_WAL_BYTES = 16 * 1024 * 1024  # a WAL that a long backup made grow is cut back to this


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    return _connect(f"{path.as_uri()}?mode=ro")


def connect_to_write(
    path: Path, lock: FileLock, mint: Callable[[str], str], now: Callable[[], str], for_tests: bool
) -> sqlite3.Connection:
    """The connection that writes, to a file whose tables are made or migrated first if need be.

    Raises NotOurs where a file of real tickets is opened for tests, or the other way round.
    """
    _tighten(path)
    connection = _connect(path.as_uri())
    try:
        version = schema.version_of(connection)
        if version:
            _check_purpose(connection, for_tests)
        if version < schema.VERSION:
            _bring_up_to_date(connection, path, lock, mint, now, for_tests)
        _check_purpose(connection, for_tests)  # another process may have made it meanwhile
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'OFF' if for_tests else 'FULL'}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {_KEPT_WAL_BYTES}")
        # Pages that a statement or a savepoint changes are copied first, to be put back, by default into a file.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: no write costs more by it
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # makes the WAL, if there is none
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_foreign(path: Path, create: bool) -> None:
    """Raises NotOurs for another program's file before anything is made beside it; makes an empty one if `create`."""
    _check_sqlite()
    if not path.exists():
        if not create:
            raise FileNotFoundError(errno.ENOENT, "there is no such file")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(connect_to_read(path)) as connection:
        schema.version_of(connection)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads a file of ours, served or not; FileUnusable where there is none such."""
    with reporting_errors(path):
        refuse_foreign(path.resolve(), create=False)
        with closing(connect_to_read(path.resolve())) as connection:
            if schema.version_of(connection) == 0:
                raise schema.NotOurs("is empty.")
            yield connection


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """While it is held, nobody serves the file or writes to it; FileUnusable where somebody does."""
    with ExitStack() as stack:
        for ending in (SERVING, LOCK):
            lock = FileLock(beside(path, ending))
            stack.callback(lock.close)
            if not lock.acquire():
                raise FileUnusable(
                    f"{path} is in use: stop its server first, or wait for the command that writes to it."
                )
        yield


def remove(path: Path) -> None:
    """Removes a database that was made just now and in vain, unless somebody uses it by now or has used it."""
    path = path.resolve()
    if not path.exists():
        return
    with suppress(FileUnusable), alone(path):
        with closing(connect_to_read(path)) as connection:
            if schema.version_of(connection) and not schema.is_untouched(connection):
                return
        for ending in ("", WAL, SHM, LOCK, SERVING):
            beside(path, ending).unlink(missing_ok=True)


def claim(path: Path) -> FileLock:
    """The lock that makes this process the one server of the file; FileUnusable where there is one."""
    lock = FileLock(beside(path, SERVING))
    if not lock.acquire():
        lock.close()
        raise FileUnusable(f"{path} is being served already: stop that server, or name another file with --db.")
    return lock


@contextmanager
def reporting_errors(path: Path) -> Iterator[None]:
    """Turns what the system and SQLite say of the file and its folder into FileUnusable, in one sentence."""
    try:
        yield
    except OSError as error:
        raise FileUnusable(f"{path} cannot be opened: {error.strerror}.") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_NOTADB:
            raise FileUnusable(f"{path} is not a Keva database: name another file.") from error
        if code == sqlite3.SQLITE_CORRUPT:
            raise FileUnusable(f"{path} is damaged: restore a backup.") from error
        if not os.access(path.absolute().parent, os.W_OK):
            raise FileUnusable(f"{path} cannot be used: its folder cannot be written to.") from error
        raise FileUnusable(f"{path} cannot be used: {error}.") from error
    except schema.NotOurs as error:
        raise FileUnusable(f"{path} {error}") from error


def _check_sqlite() -> None:
    """Raises FileUnusable where this Python brings a SQLite that is too old for the tables."""
    if sqlite3.sqlite_version_info < schema.OLDEST_SQLITE:
        needed = "{}.{}".format(*schema.OLDEST_SQLITE)
        raise FileUnusable(
            f"This Python has SQLite {sqlite3.sqlite_version}, and Keva needs {needed} or newer: use another Python."
        )


def _connect(uri: str) -> sqlite3.Connection:
    # Connections are closed by another thread than the one that uses them.
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    # As SQLite advises for files that may come from strangers (sqlite.org/security.html), but for trusted_schema = OFF:
    # some of its releases would then refuse json_type in our own CHECK. `version_of` refuses every object but ours.
    connection.execute("PRAGMA cell_size_check = ON")
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    return connection


def _tighten(path: Path) -> None:
    """Makes the file and what SQLite keeps beside it its owner's alone, and says so: it may have come by `cp`."""
    for file in (path, beside(path, WAL), beside(path, SHM)):
        if os.name == "nt" or not file.is_file():
            continue
        mode = file.stat().st_mode & 0o777
        if mode & 0o077:
            file.chmod(0o600)
            LOG.warning("%s had mode %04o, which lets others in: it is now 0600, its owner's alone.", file, mode)


def _check_purpose(connection: sqlite3.Connection, for_tests: bool) -> None:
    """Keeps a reset away from real tickets."""
    if for_tests and not schema.is_for_tests(connection):
        raise schema.NotOurs("may hold real tickets: only a file first made under --control is taken.")
    if schema.is_for_tests(connection) and not for_tests:
        raise schema.NotOurs("is a desk for tests, which may be emptied: only serve --control takes it.")


def _bring_up_to_date(
    connection: sqlite3.Connection,
    path: Path,
    lock: FileLock,
    mint: Callable[[str], str],
    now: Callable[[], str],
    for_tests: bool,
) -> None:
    """Makes the tables, or migrates them, unless another process was faster."""
    if not lock.acquire(PATIENCE):
        raise FileUnusable(f"Another Keva command is writing to {path}: try again when it is done.")
    try:
        version = schema.version_of(connection)
        if version == 0:
            schema.create(connection, mint("ws"), mint("user"), now(), for_tests)
        elif version < schema.VERSION:
            _migrate(connection, path, version)
    finally:
        lock.release()


def _migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    with closing(claim(path)):  # an older server would not understand what it serves
        kept = free_name(path, f"schema-{version}")
        copies.copy(connection, kept)
        LOG.warning("%s is brought from schema %d to %d; a copy is kept: %s", path, version, schema.VERSION, kept)
        for step in range(version, schema.VERSION):
            schema.upgrade(connection, step)
