"""A batch is committed, or each of its writers is told that it is not: whatever raises, at whichever step or line."""

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from keva import identity
from keva.errors import Unavailable
from keva.storage import batch, database, turn, write_connection, writer
from keva.storage.database import Database
from keva.storage.transaction import Transaction

from .faulty import Connection, Steps, fail_by_steps, sqlite_error, wrap_connections
from .served import until

WRITERS = 3
_INSERT = "INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?)"
_TRACED = {module.__file__ for module in (batch, database, turn, write_connection, writer)}
_OUTCOME_NOT_KNOWN = ("not known", "shows once Keva is started again")


class Interrupted(Exception):
    """What another thread, or a test's time limit, throws into this one."""


def _add(tx: Transaction, name: str) -> None:
    tx.all(_INSERT, (tx.mint("ws"), name, tx.now))


def _stored(database: Database) -> set[str]:
    with closing(sqlite3.connect(database.path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM workspaces")}


def _write_together(
    database: Database, label: object, in_thread: Callable[[int], Any] = lambda _: None
) -> dict[str, BaseException | None]:
    """Has three threads write in one batch, if nothing keeps them from it; gives what each of them raised."""
    raised: dict[str, BaseException | None] = {f"{label} {place}": None for place in range(WRITERS)}
    ended = [threading.Event() for _ in raised]
    first_is_inside = threading.Event()

    def write(place: int, name: str) -> None:
        try:
            in_thread(place)
            with database.write() as tx:
                first_is_inside.set()
                _add(tx, name)
                if place == 0:
                    others = ended[1:]
                    until(lambda: database.writer.waiting + sum(map(threading.Event.is_set, others)) == len(others))
        except BaseException as error:
            raised[name] = error
        finally:
            sys.settrace(None)
            first_is_inside.set()
            ended[place].set()

    threads = [threading.Thread(target=write, args=each, daemon=True) for each in enumerate(raised)]
    for thread in threads:
        thread.start()
        assert first_is_inside.wait(20)
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "a writer hangs"
    return raised


def _check(raised: dict[str, BaseException | None], stored: set[str]) -> None:
    for name, error in raised.items():
        if error is None:
            assert name in stored, "acknowledged, and not stored"
        elif isinstance(error, Unavailable) and not any(told in error.sentence for told in _OUTCOME_NOT_KNOWN):
            assert name not in stored, f"refused, and stored: {error.sentence}"


def _writes_or_says_why_not(database: Database, name: str) -> None:
    try:
        with database.write() as tx:
            _add(tx, name)
    except Unavailable:
        assert name not in _stored(database)
    else:
        assert name in _stored(database)


ERRORS = {
    "memory": MemoryError,
    "full": lambda: sqlite_error(sqlite3.SQLITE_FULL),
    "disk": lambda: sqlite_error(sqlite3.SQLITE_IOERR_WRITE),
    "sync": lambda: sqlite_error(sqlite3.SQLITE_IOERR_FSYNC),
    "system": lambda: OSError(5, "Input/output error"),
    "bug": lambda: TypeError("a bug"),
    "key": KeyboardInterrupt,
    "thrown": Interrupted,
}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("error", ERRORS)
def test_whatever_fails_at_whichever_step_each_writer_is_told_the_truth(
    db: Path, monkeypatch: pytest.MonkeyPatch, error: str, before: bool
) -> None:
    if not before and error in ("full", "disk", "sync"):
        pytest.skip("SQLite does not report such a failure of what it has done")
    steps = Steps(ERRORS[error], before)
    fail_by_steps(monkeypatch, steps)
    for number in count():
        with closing(Database(db, identity.mint)) as database:
            steps.arm(number)
            raised = _write_together(database, number)
            reached = steps.disarm()
            _check(raised, _stored(database))
            _writes_or_says_why_not(database, f"{number} later")
        _check(raised, _stored(database))
        if not reached:
            break
    assert number > 10
    assert set(raised.values()) == {None}


@pytest.mark.parametrize("at", ["ROLLBACK", "ROLLBACK TO one", "RELEASE one", "SAVEPOINT one", "COMMIT"])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_READ])
def test_a_batch_that_cannot_even_be_rolled_back_is_not_stored_and_the_next_write_is(
    db: Path, monkeypatch: pytest.MonkeyPatch, at: str, code: int
) -> None:
    connections = wrap_connections(monkeypatch)
    with closing(Database(db, identity.mint)) as database:
        connections[0].failing = {"ROLLBACK": code, at: code}
        with suppress(KeyError, Unavailable), database.write() as tx:
            _add(tx, "undone")
            raise KeyError("a bug in a verb")
        connections[0].failing.pop("ROLLBACK TO one", None)
        with suppress(Unavailable), database.write() as tx:
            _add(tx, "undone")
        connections[0].failing = {}
        with database.write() as tx:
            _add(tx, "later")
        assert "later" in _stored(database)
    with closing(Database(db, identity.mint)) as database:
        _writes_or_says_why_not(database, "last")


def _raise_at(event_number: int, error: type[BaseException], place: int, seen: list[str]) -> Callable[[int], None]:
    """Makes the thread of that place raise once, at that call or line of the code under test, which goes to `seen`."""
    numbers = count()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in _TRACED:
            return None
        if event in ("call", "line") and next(numbers) == event_number:
            seen.append(f"{event} {Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            raise error
        return trace

    return lambda at: sys.settrace(trace) if at == place else None


@pytest.mark.parametrize("error", [KeyboardInterrupt, Interrupted])
@pytest.mark.parametrize("place", range(WRITERS))
@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_an_exception_thrown_in_at_any_line_takes_no_other_write_with_it_unseen(
    db: Path, error: type[BaseException], place: int, stride: int
) -> None:
    with closing(Database(db, identity.mint, for_tests=True)) as database:
        for number in count(0, stride):
            seen: list[str] = []
            raised = _write_together(database, number, _raise_at(number, error, place, seen))
            told = {name: error for name, error in raised.items() if not name.endswith(str(place))}
            _check(told, _stored(database))
            with database.write() as tx:
                _add(tx, f"{number} later")
            assert f"{number} later" in _stored(database), seen
            if not seen:
                break
        assert number > 60
        assert set(raised.values()) == {None}


@pytest.fixture
def database_of_one(db: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(writer, "TURN_SECONDS", 0.3)
    with closing(Database(db, identity.mint)) as database:
        yield database


def test_a_write_inside_another_of_its_thread_takes_the_place_of_that_one(database_of_one: Database) -> None:
    with pytest.raises(Unavailable), database_of_one.write() as tx:  # noqa: PT012
        _add(tx, "outer")
        with database_of_one.write() as inner:
            _add(inner, "inner")
    assert _stored(database_of_one) == {"Support", "inner"}


def test_who_waits_for_a_block_that_does_not_end_is_refused(database_of_one: Database) -> None:
    told: list[str] = []

    def write() -> None:
        try:
            with database_of_one.write() as tx:
                _add(tx, "second")
        except Unavailable as error:
            told.append(error.sentence)

    with database_of_one.write() as tx:
        _add(tx, "first")
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(20)
        assert told == ["Another write has not ended: nothing was stored. Try again."]
    assert _stored(database_of_one) == {"Support", "first"}


def test_who_shares_a_commit_with_a_block_in_which_nothing_happens_is_refused_and_so_is_that(
    database_of_one: Database,
) -> None:
    may_end = threading.Event()
    raised: dict[str, Unavailable | None] = {"first": None, "second": None}

    def write(name: str, inside: Callable[[], object]) -> None:
        try:
            with database_of_one.write() as tx:
                _add(tx, name)
                inside()
        except Unavailable as error:
            raised[name] = error

    second = threading.Thread(target=write, args=("second", lambda: may_end.wait(20)))

    def let_second_wait() -> None:
        second.start()
        until(lambda: database_of_one.writer.waiting == 1)

    write("first", let_second_wait)
    assert raised["first"]
    may_end.set()
    second.join(20)
    assert raised["second"]
    assert _stored(database_of_one) == {"Support"}
    _writes_or_says_why_not(database_of_one, "later")


def test_a_transaction_cannot_be_used_after_its_block(database_of_one: Database) -> None:
    with database_of_one.write() as tx:
        pass
    with pytest.raises(AttributeError):
        _add(tx, "late")


def test_a_connection_that_cannot_roll_back_is_replaced(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[Connection] = wrap_connections(monkeypatch)
    with closing(Database(db, identity.mint)) as database:
        connections[0].failing = {"COMMIT": sqlite3.SQLITE_NOMEM, "ROLLBACK": sqlite3.SQLITE_NOMEM}
        with pytest.raises(Unavailable), database.write() as tx:
            _add(tx, "first")
        with database.write() as tx:
            _add(tx, "second")
        assert len(connections) == 2
        assert _stored(database) == {"Support", "second"}
