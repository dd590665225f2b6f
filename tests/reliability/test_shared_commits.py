"""Writes that share a commit: all are refused when it fails, and one that fails takes no other with it."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from keva import identity
from keva.errors import Unavailable
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
