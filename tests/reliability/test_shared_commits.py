"""Writes that share a commit: all are refused when it fails, and one that fails takes no other with it."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from keva import identity
from keva.errors import Unavailable
from keva.storage import writer
from keva.storage.batch import Batch
from keva.storage.database import Database
from keva.storage.transaction import Transaction

from .faulty import Connection, wrap_connections
from .served import until

_INSERT = "INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?)"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    return wrap_connections(monkeypatch)


@pytest.fixture
def database(db: Path, failing: list[Connection]) -> Iterator[Database]:
    database = Database(db, identity.mint)
    yield database
    database.close()


def _add(tx: Transaction, name: str) -> None:
    tx.all(_INSERT, (tx.mint("ws"), name, tx.now))


def _names(database: Database) -> set[str]:
    with database.read() as reader:
        return {row[0] for row in reader.all("SELECT name FROM workspaces")} - {"Support"}


def _together(database: Database, write: Callable[[int], None], number: int = 6) -> list[BaseException | None]:
    """Has so many threads write in one commit, and gives what each of them raised."""
    raised: list[BaseException | None] = [None] * number

    def run(place: int) -> None:
        try:
            write(place)
        except BaseException as error:
            raised[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(number)]
    with suppress(Unavailable), database.write():  # nobody gets its turn before all of them wait for it
        for thread in threads:
            thread.start()
        until(lambda: database.writer.waiting == number)
    for thread in threads:
        thread.join()
    return raised


def _write_name(database: Database, place: int) -> None:
    with database.write() as tx:
        _add(tx, f"name {place}")
        if place == 3:
            raise KeyError("a bug in a verb")


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC])
def test_when_a_shared_commit_fails_every_write_in_it_is_refused_and_none_is_stored(
    database: Database, failing: list[Connection], code: int
) -> None:
    failing[0].failing = {"COMMIT": code}

    def write(place: int) -> None:
        with database.write() as tx:
            _add(tx, f"name {place}")

    raised = _together(database, write)
    assert [type(error) for error in raised] == [Unavailable] * 6
    assert _names(database) == set()
    failing[0].failing = {}
    if code == sqlite3.SQLITE_IOERR_FSYNC:
        with pytest.raises(Unavailable, match="until Keva is started again"):
            write(7)
        assert _names(database) == set()
    else:
        write(7)
        assert _names(database) == {"name 7"}


def test_when_one_write_of_a_shared_commit_fails_only_that_one_is_undone(database: Database) -> None:
    raised = _together(database, lambda place: _write_name(database, place))
    assert [type(error) for error in raised] == [type(None)] * 3 + [KeyError] + [type(None)] * 2
    assert _names(database) == {f"name {place}" for place in (0, 1, 2, 4, 5)}


def test_a_refused_statement_undoes_its_own_write_alone(database: Database) -> None:
    def write(place: int) -> None:
        with database.write() as tx:
            _add(tx, f"name {place}")
            if place == 2:
                tx.all("INSERT INTO workspaces (id, name, created_at) VALUES ('x', NULL, 'x')")

    raised = _together(database, write)
    assert [type(error) for error in raised if error] == [sqlite3.IntegrityError]
    assert _names(database) == {f"name {place}" for place in (0, 1, 3, 4, 5)}


def test_a_sync_that_fails_before_the_commit_ends_all_writing_too(
    database: Database, failing: list[Connection]
) -> None:
    """As when a long transaction is written to the WAL before its end."""
    failing[0].failing = {_INSERT: sqlite3.SQLITE_IOERR_FSYNC}
    with pytest.raises(Unavailable), database.write() as tx:
        _add(tx, "name")
    failing[0].failing = {}
    with pytest.raises(Unavailable, match="until Keva is started again"), database.write() as tx:
        _add(tx, "other name")
    assert _names(database) == set()


def test_a_write_that_cannot_be_undone_alone_is_undone_with_those_that_share_its_commit(
    database: Database, failing: list[Connection]
) -> None:
    failing[0].failing = {"ROLLBACK TO one": sqlite3.SQLITE_IOERR_READ}
    raised = _together(database, lambda place: _write_name(database, place))
    stored = {f"name {place}" for place, error in enumerate(raised) if error is None}
    assert "name 3" not in stored
    assert _names(database) == stored


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The writes in each commit, on a disk that counts as slow and where nobody stops waiting for others."""
    sizes: list[int] = []
    begin_commit = Batch.begin_commit
    monkeypatch.setattr(Batch, "begin_commit", lambda batch: (sizes.append(batch.writes), begin_commit(batch)))
    monkeypatch.setattr(writer, "_SLOW_COMMIT", -1.0)
    monkeypatch.setattr(writer, "_GATHERING_SHARE", 1e9)
    monkeypatch.setattr(writer, "_LONGEST_GATHERING", 30.0)
    return sizes


def _write_apart(database: Database, places: Iterable[int], end: float = 10) -> list[threading.Thread]:
    """Has so many threads write by themselves; gives those that are not done after `end` seconds."""
    threads = [threading.Thread(target=_write_one, args=(database, place)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(end)
    return [thread for thread in threads if thread.is_alive()]


def _write_one(database: Database, place: int) -> None:
    with suppress(KeyError):
        _write_name(database, place)


def _is_gathering(database: Database) -> bool:
    """A batch is open, and nobody is in its block."""
    return database.writer._batch.is_open and not database.writer._inside


def test_on_a_slow_disk_a_commit_waits_until_those_are_back_who_shared_the_last_one(
    database: Database, commits: list[int]
) -> None:
    _together(database, lambda place: _write_name(database, place))  # six, and the one that holds them up
    assert not _write_apart(database, range(10, 17))
    assert commits == [7, 7]
    assert _names(database) >= {f"name {place}" for place in range(10, 17)}


def test_on_a_slow_disk_who_is_left_alone_waits_for_a_moment_only(
    database: Database, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_LONGEST_GATHERING", 0.01)
    monkeypatch.setattr(writer, "_HELP_SECONDS", 30.0)
    _together(database, lambda place: _write_name(database, place))
    for place in (10, 3, 11, 12):  # the third of the names is refused
        assert not _write_apart(database, [place])
    assert commits == [7, 1, 1, 1, 1]
    assert _names(database) >= {"name 10", "name 11", "name 12"}


def test_a_refused_write_ends_the_batch_that_it_would_keep_open(
    database: Database, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_HELP_SECONDS", 30.0)
    _together(database, lambda place: _write_name(database, place))
    waiting = threading.Thread(target=_write_one, args=(database, 10))
    waiting.start()
    until(lambda: _is_gathering(database))
    _write_one(database, 3)
    waiting.join(10)
    assert not waiting.is_alive()
    assert _names(database) >= {"name 10"}


def test_a_close_ends_the_batch_that_waits_for_others(database: Database, commits: list[int]) -> None:
    _together(database, lambda place: _write_name(database, place))
    waiting = threading.Thread(target=_write_one, args=(database, 10))
    waiting.start()
    until(lambda: _is_gathering(database))
    database.close()
    waiting.join(10)
    assert not waiting.is_alive()
    with closing(Database(database.path, identity.mint)) as opened_again:
        assert "name 10" in _names(opened_again)


def test_one_client_alone_waits_for_nobody(database: Database, commits: list[int]) -> None:
    for place in (10, 11):
        assert not _write_apart(database, [place])
    assert commits == [1, 1]
