"""Writes that one thread runs for all: in one transaction, each whole or not at all, and nobody waits in vain."""

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from keva import identity
from keva.errors import NotFound, Unavailable
from keva.storage import group_commit
from keva.storage.database import Database
from keva.storage.group_commit import GroupCommit, _Queued
from keva.storage.transaction import Transaction

from .faulty import Connection, wrap_connections
from .served import until

_INSERT = "INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?)"
Writing = tuple[int, Callable[[Transaction], None]]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    return wrap_connections(monkeypatch)


@pytest.fixture
def database(db: Path, failing: list[Connection]) -> Iterator[Database]:
    database = Database(db, identity.mint)
    yield database
    database.close()


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the groups that were stored."""
    found: list[int] = []
    store = GroupCommit._store
    monkeypatch.setattr(GroupCommit, "_store", lambda this, group: (found.append(len(group)), store(this, group)))
    return found


def _add(place: int, error: Exception | None = None, first: Exception | None = None) -> Writing:
    """Adds a workspace; raises `first` before that, or `error` after it."""

    def work(tx: Transaction) -> None:
        if first:
            raise first
        tx.all(_INSERT, (tx.mint("ws"), f"name {place}", tx.now))
        if error:
            raise error

    return place, work


def _names(database: Database) -> set[str]:
    with database.read() as reader:
        return {row[0] for row in reader.all("SELECT name FROM workspaces")} - {"Support"}


def _start(database: Database, writes: Iterable[Writing]) -> tuple[list[threading.Thread], dict[int, Any]]:
    """Has threads write; gives them, and what each raised or None, by its place, once it is known."""
    outcomes: dict[int, Any] = {}

    def run(place: int, work: Callable[[Transaction], None]) -> None:
        try:
            if isinstance(work, _Traced):
                sys.settrace(work.trace)
            outcomes[place] = database.write_in_group(work)
        except BaseException as error:
            outcomes[place] = error
        finally:
            sys.settrace(None)

    threads = [threading.Thread(target=run, args=write) for write in writes]
    for thread in threads:
        thread.start()
    return threads, outcomes


@contextmanager
def _held_up(database: Database) -> Iterator[None]:
    """Nobody has a turn to write, and one write alone waits for it."""
    with suppress(Unavailable), database.write():
        [thread], _ = _start(database, [_add(-1)])
        until(lambda: database.writer.waiting == 1)
        yield
    thread.join()


def _together(database: Database, *writes: Writing) -> dict[int, Any]:
    """Has them be one group, after one write alone; gives what each raised."""
    with _held_up(database):
        threads, outcomes = _start(database, writes)
        until(lambda: len(database._group._queue) + len(outcomes) >= len(writes))
    for thread in threads:
        thread.join()
    return outcomes


def _alone(database: Database, place: int) -> None:
    database.write_in_group(_add(place)[1])


def test_what_comes_together_is_stored_in_one_transaction(database: Database, sizes: list[int]) -> None:
    assert _together(database, *(_add(place) for place in range(6))) == dict.fromkeys(range(6))
    assert _names(database) == {f"name {place}" for place in range(-1, 6)}
    assert sizes == [1, 6]


def test_a_result_is_the_callers_own(database: Database) -> None:
    outcomes = _together(database, *((place, lambda tx, place=place: place) for place in range(6)))  # type: ignore[misc]
    assert outcomes == {place: place for place in range(6)}


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(_add(3, first=NotFound("no such ticket")), id="before it changed anything"),
        pytest.param(_add(3, error=NotFound("no such message")), id="after it changed something"),
        pytest.param(_add(3, error=KeyError("a bug")), id="by a bug"),
        pytest.param((3, lambda tx: tx.all(_INSERT, ("ws_x", None, tx.now))), id="by a constraint"),
    ],
)
def test_one_that_fails_takes_no_other_with_it(database: Database, refused: Writing) -> None:
    outcomes = _together(database, *(_add(place) if place != 3 else refused for place in range(6)))
    assert {place for place, outcome in outcomes.items() if outcome} == {3}
    assert not isinstance(outcomes[3], Unavailable)
    assert _names(database) == {f"name {place}" for place in (-1, 0, 1, 2, 4, 5)}


def test_what_came_of_a_write_that_was_undone_and_run_again_is_what_came_of_it_then(database: Database) -> None:
    runs: list[None] = []

    def is_late(_: Transaction) -> None:
        runs.append(None)
        if len(runs) == 1:
            raise NotFound("not yet")

    with _held_up(database):
        threads, outcomes = _start(database, [(0, is_late)])
        until(lambda: len(database._group._queue) == 1)
        more, told = _start(database, [_add(1, error=KeyError("a bug"))])
        until(lambda: len(database._group._queue) == 2)
    for thread in threads + more:
        thread.join()
    assert outcomes == {0: None}
    assert type(told[1]) is KeyError
    assert len(runs) == 2


def test_one_that_fails_alone_is_run_once(database: Database) -> None:
    runs: list[None] = []
    with pytest.raises(KeyError):
        database.write_in_group(lambda tx: (_add(1)[1](tx), runs.append(None), {}["a bug"]))
    assert runs == [None]
    assert _names(database) == set()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC])
@pytest.mark.parametrize("statement", ["COMMIT", "BEGIN IMMEDIATE"])
def test_when_their_transaction_fails_all_are_told_and_none_is_stored(
    database: Database, failing: list[Connection], statement: str, code: int
) -> None:
    with _held_up(database):
        refused = _add(6, first=NotFound("no such ticket"))
        threads, outcomes = _start(database, [*(_add(place) for place in range(6)), refused])
        until(lambda: len(database._group._queue) == 7)
        failing[0].failing = {statement: code}
    for thread in threads:
        thread.join()
    began = statement == "COMMIT" and code != sqlite3.SQLITE_IOERR_FSYNC  # which ends all writing
    assert type(outcomes.pop(6)) is (NotFound if began else Unavailable)
    assert {type(outcome) for outcome in outcomes.values()} == {Unavailable}
    assert len({id(outcome) for outcome in outcomes.values()}) == 6  # each has a traceback of its own
    assert _names(database) <= {"name -1"}
    failing[0].failing = {}
    if code != sqlite3.SQLITE_IOERR_FSYNC:
        _alone(database, 7)
        assert "name 7" in _names(database)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_FSYNC])
def test_what_a_statement_meets_on_the_disk_is_noted_and_after_a_failed_sync_nothing_is_written(
    database: Database, failing: list[Connection], number: int, code: int
) -> None:
    def fails_once(tx: Transaction) -> None:
        failing[0].failing = {_INSERT: code}
        try:
            _add(0)[1](tx)
        finally:
            failing[0].failing = {}

    outcomes = _together(database, (0, fails_once), *(_add(place) for place in range(1, number)))
    assert type(outcomes.pop(0)) is Unavailable
    if code == sqlite3.SQLITE_FULL:
        assert set(outcomes.values()) <= {None}
        assert _names(database) == {f"name {place}" for place in (-1, *range(1, number))}
    else:
        assert {type(outcome) for outcome in outcomes.values()} <= {Unavailable}
        with pytest.raises(Unavailable, match="until Keva is started again"):
            _alone(database, 7)
        assert _names(database) == {"name -1"}


def test_the_health_tells_why_a_write_was_not_stored(database: Database, failing: list[Connection]) -> None:
    failing[0].failing = {_INSERT: sqlite3.SQLITE_FULL}
    with pytest.raises(Unavailable, match="disk is full"):
        _alone(database, 1)
    assert "disk is full" in str(database.writer.trouble)
    failing[0].failing = {}
    _alone(database, 1)
    assert database.writer.trouble is None


def test_who_cannot_tell_webhooks_of_what_was_stored_fails_nobody(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def with_news(tx: Transaction) -> None:
        _add(0)[1](tx)
        tx.has_news = True

    def fail() -> None:
        raise RuntimeError("can't start new thread")

    database.writer.on_news = fail
    assert set(_together(database, (0, with_news), _add(1), _add(2)).values()) == {None}
    assert _names(database) == {f"name {place}" for place in range(-1, 3)}
    assert "can't start new thread" in caplog.text


def test_where_sqlite_has_undone_all_each_is_stored_anew_or_told(database: Database, failing: list[Connection]) -> None:
    """As when the disk is full for one: no other may write on outside of the transaction."""
    tried: list[None] = []

    def fills_the_disk(tx: Transaction) -> None:
        tx.all("ROLLBACK")
        tried.append(None)
        raise Unavailable("The disk is full.")

    outcomes = _together(database, *(_add(place) if place != 3 else (3, fills_the_disk) for place in range(6)))
    assert isinstance(outcomes.pop(3), Unavailable)
    assert set(outcomes.values()) == {None}
    assert _names(database) == {f"name {place}" for place in (-1, 0, 1, 2, 4, 5)}
    assert len(tried) == 2


def test_one_client_alone_waits_for_nobody(
    database: Database, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 30.0)
    for place in range(5):
        _alone(database, place)
    assert sizes == [1] * 5


def test_a_group_waits_for_as_many_as_there_were_in_the_last_one(
    database: Database, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _together(database, *(_add(place) for place in range(6)))
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 30.0)
    early, _ = _start(database, [_add(place) for place in range(10, 15)])
    until(lambda: len(database._group._queue) == 5)
    last, _ = _start(database, [_add(15)])
    for thread in early + last:
        thread.join(10)
        assert not thread.is_alive()
    assert sizes == [1, 6, 6]


def test_those_who_are_queued_at_its_end_are_waited_for_with_those_who_wrote(
    database: Database, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 30.0)
    with _held_up(database):
        threads, _ = _start(database, [_add(0), (1, lambda _: going_on.wait(10) and None)])
        until(lambda: len(database._group._queue) == 2)
    threads += _start(database, [_add(2)])[0]
    until(lambda: sizes == [1, 3])
    threads += _start(database, [_add(place) for place in (3, 4)])[0]
    until(lambda: len(database._group._queue) == 2)
    going_on.set()
    until(lambda: database._group._leading.is_free)
    threads += _start(database, [_add(place) for place in (5, 6)])[0]
    until(lambda: len(database._group._queue) == 4)
    threads += _start(database, [_add(7)])[0]
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sizes == [1, 3, 5]


def test_who_is_not_queued_any_more_leads_no_more(database: Database, sizes: list[int]) -> None:
    """Its leader has settled it just now or, as here, is gone without having done so."""
    queued = database._group._last = _Queued(lambda _: None)
    database._group._look(queued, queued)
    assert sizes == []
    with pytest.raises(Unavailable, match="not known"):
        queued.outcome()
    _alone(database, 1)


def test_no_group_is_empty_and_none_is_lost(
    database: Database, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 0.0005)  # many try to lead
    threads, outcomes = _start(database, [_add(place) for place in range(100)])
    for thread in threads:
        thread.join()
    assert outcomes == dict.fromkeys(range(100))
    assert _names(database) == {f"name {place}" for place in range(100)}
    assert min(sizes) > 0


def test_who_was_queued_while_another_led_is_woken_at_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_LOOK_SECONDS", 30.0)
    with _held_up(database):
        [thread], outcomes = _start(database, [_add(1)])
        until(lambda: len(database._group._queue) == 1)
    thread.join(10)
    assert outcomes == {1: None}


def test_who_is_left_alone_waits_for_a_moment_and_then_no_more(database: Database, sizes: list[int]) -> None:
    _together(database, *(_add(place) for place in range(6)))
    for place in (10, 11, 12):
        _alone(database, place)
        assert database._group._expected == 1
    assert sizes == [1, 6, 1, 1, 1]


def test_who_has_waited_for_long_is_refused_and_is_not_stored_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _held_up(database):
        monkeypatch.setattr(group_commit, "TURN_SECONDS", 0.05)
        [thread], outcomes = _start(database, [_add(1)])
        thread.join(10)
        assert isinstance(outcomes[1], Unavailable)
    _alone(database, 2)
    assert _names(database) == {"name -1", "name 2"}


class Torn(BaseException):
    """As a KeyboardInterrupt."""


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("looks_often")
def test_when_the_leader_is_torn_out_all_are_told_and_the_next_write_is_stored(database: Database) -> None:
    def tear(_: Transaction) -> None:
        raise Torn

    outcomes = _together(database, _add(0), (1, tear), _add(2))
    assert {type(outcome) for outcome in outcomes.values()} == {Unavailable, Torn}  # the latter in the leader
    assert _names(database) == {"name -1"}
    _alone(database, 7)
    assert _names(database) == {"name -1", "name 7"}


@pytest.mark.usefixtures("looks_often")
def test_when_it_is_torn_out_while_each_is_run_again_all_are_told_the_truth(database: Database) -> None:
    runs: list[None] = []

    def tear(_: Transaction) -> None:
        runs.append(None)
        if len(runs) == 2:
            raise Torn

    outcomes = _together(database, _add(0), (1, tear), _add(2, error=KeyError("a bug")), _add(3))
    names = _names(database)
    for place in (0, 3):
        if not isinstance(outcomes[place], Torn):  # the leader, who knows as little as any caller then
            assert (f"name {place}" in names) == (outcomes[place] is None)
    assert outcomes[2] is not None
    assert outcomes[1] is not None


@pytest.mark.usefixtures("looks_often")
@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("error", [Torn, MemoryError])
@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_whatever_line_an_exception_falls_on_nobody_hangs_and_all_are_told_the_truth(
    database: Database, error: type[BaseException], place: int, stride: int
) -> None:
    for number in count(0, stride):
        seen: list[int] = []
        names = [f"name {number * 10 + writer}" for writer in range(3)]

        def work(writer: int, number: int = number, seen: list[int] = seen) -> Callable[[Transaction], None]:
            add = _add(number * 10 + writer)[1]
            return _Traced(add, number, error, seen) if writer == place else add

        outcomes = _together(database, *((writer, work(writer)) for writer in range(3)))
        stored = _names(database)
        for writer, name in enumerate(names):
            told = outcomes[writer]
            if told is None:
                assert name in stored, seen
            elif isinstance(told, Unavailable) and "not known" not in told.sentence:
                assert name not in stored, seen
        _alone(database, -number - 2)
        if not seen:
            break
    assert number > 20


class _Traced:
    """A write whose thread, and whoever runs it, raises once at some line of what is under test."""

    def __init__(
        self, work: Callable[[Transaction], None], line: int, error: type[BaseException], seen: list[int]
    ) -> None:
        self._work, self._error, self._line, self._seen = work, error, line, seen
        self._numbers = count()

    def __call__(self, tx: Transaction) -> None:
        self._work(tx)

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != group_commit.__file__:
            return None
        if event in ("call", "line") and next(self._numbers) == self._line:
            self._seen.append(frame.f_lineno)
            raise self._error
        return self.trace


def test_a_close_tells_all_who_wait(database: Database) -> None:
    with _held_up(database):
        threads, outcomes = _start(database, [_add(place) for place in range(3)])
        until(lambda: len(database._group._queue) == 3)
        database.writer._closing = True
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert {type(outcome) for outcome in outcomes.values()} == {Unavailable}
    assert _names(database) <= {"name -1"}
