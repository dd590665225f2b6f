"""Readers are borrowed: none is closed under its user, none is left behind, and the end of a desk waits for no one."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from keva import identity
from keva.errors import Unavailable
from keva.storage import pool
from keva.storage.database import Database
from tests.commands import ROOT, environ

from .faulty import sqlite_error

# No statement of SQL takes longer.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

_STOPPED_UNDER_ITS_USERS = """
import sys, threading
from keva.errors import KevaError
from keva.testing import Keva

def go_on(call, started):
    try:
        while True:
            call()
            started.set()
    except KevaError as error:
        sentences.add(error.sentence)

for _ in range(int(sys.argv[1])):
    sentences = set()
    with Keva() as keva:
        keva.seed([{}] * 300)
        calls = [keva.tickets, keva.tickets, keva.seed]
        started = [threading.Event() for _ in calls]
        threads = [threading.Thread(target=go_on, args=both, daemon=True) for both in zip(calls, started)]
        for thread in threads: thread.start()
        for event in started: event.wait(20)
    for thread in threads: thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert all("closed" in sentence for sentence in sentences), sentences
"""

_SERVED_WITH_ENDLESS_LISTS = f"""
import sys
from keva import tickets
from keva.cli import run
from keva.http import server
tickets.list_page = lambda reader, *_: print("reading", flush=True) or reader.one({ENDLESS!r})
server.DRAIN_SECONDS = server.LAST_WORDS_SECONDS = 0.1
run()
"""


@contextmanager
def _python(code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, env=environ()) as process:
        try:
            yield process
        finally:
            process.kill()


def _files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def database(db: Path) -> Iterator[Database]:
    with closing(Database(db, identity.mint)) as database:
        yield database


def _in_thread(run: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("rounds", ["5", pytest.param("200", marks=pytest.mark.slow)])
def test_threads_that_go_on_while_a_desk_for_tests_stops_are_refused_and_crash_nothing(rounds: str) -> None:
    with _python(_STOPPED_UNDER_ITS_USERS, rounds) as process:
        _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told


def test_a_server_stops_well_in_the_middle_of_a_long_read(db: Path) -> None:
    key = "keva_live_for_this_test"
    with _python(_SERVED_WITH_ENDLESS_LISTS, "serve", "--db", str(db), "--port", "0", "--api-key", key) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        request = urllib.request.Request(f"{url}/api/v1/tickets", headers={"Authorization": f"Bearer {key}"})

        def ask() -> None:
            with suppress(OSError):
                urllib.request.urlopen(request, timeout=20)

        asking = _in_thread(ask)
        assert process.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
        asking.join(20)
    assert process.returncode == 0, told
    assert "Traceback" not in told


def test_a_desk_that_closes_interrupts_who_reads(database: Database) -> None:
    told: list[str] = []
    reading = threading.Event()

    def read() -> None:
        with database.read() as reader:
            reading.set()
            with pytest.raises(Unavailable) as caught:
                reader.one(ENDLESS)
            told.append(caught.value.sentence)

    thread = _in_thread(read)
    assert reading.wait(20)
    database.close()
    thread.join(20)
    assert told == ["The desk was closed meanwhile: nothing was read or stored. Start it again."]


def test_a_desk_that_closes_leaves_a_reader_that_does_not_end_and_its_own_user_closes_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_CLOSE_SECONDS", 0.1)
    before = _files()
    with database.read() as reader:
        database.close()
        assert reader.one("SELECT 1") == (1,)
    assert _files() < before
    database.close()


def test_a_closed_desk_says_so_to_who_reads_or_writes(database: Database) -> None:
    with database.read() as reader:
        reader.one("SELECT 1")
    database.close()
    with pytest.raises(Unavailable, match=r"^The desk is closed: start it again\.$"), database.read():
        pass
    with pytest.raises(Unavailable, match=r"^The desk is closed: start it again\.$"), database.write():
        pass


def test_threads_that_come_and_go_leave_no_open_file_behind(database: Database) -> None:
    def read_all_at_once() -> None:
        together = threading.Barrier(2 * pool.MOST_IDLE)

        def read() -> None:
            with database.read() as reader:
                reader.one("SELECT 1")
                together.wait(20)

        threads = [_in_thread(read) for _ in range(together.parties)]
        for thread in threads:
            thread.join(20)

    read_all_at_once()
    files = _files()
    for _ in range(5):
        read_all_at_once()
    assert _files() == files


def test_a_reader_that_was_given_back_cannot_be_used(database: Database) -> None:
    with database.read() as reader:
        pass
    with pytest.raises(AttributeError):
        reader.one("SELECT 1")


def test_rows_come_one_by_one_and_of_one_state(database: Database) -> None:
    with database.read() as reader:
        rows = reader.each("SELECT name FROM workspaces")
        assert next(rows) == ("Support",)
        with database.write() as tx:
            tx.all("INSERT INTO workspaces (id, name, created_at) VALUES ('ws_2', 'Sales', '')")
        assert list(rows) == []
        assert len(list(reader.each("SELECT name FROM workspaces"))) == 2


def test_rows_that_were_not_read_to_their_end_hold_the_wal_no_longer_than_their_reader(database: Database) -> None:
    with database.read() as reader:
        rows = reader.each("SELECT name FROM workspaces")
        next(rows)
    with pytest.raises(Unavailable):
        next(rows)
    with database.write() as tx:
        tx.all("INSERT INTO workspaces (id, name, created_at) VALUES ('ws_2', 'Sales', '')")
    with closing(sqlite3.connect(database.path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0


def test_when_no_connection_can_be_opened_readers_share_those_that_there_are() -> None:
    """As when clients hold all file descriptors."""
    refused = threading.Event()
    rows: list[object] = []

    def connect() -> sqlite3.Connection:
        if opened:
            refused.set()
            raise sqlite_error(sqlite3.SQLITE_CANTOPEN)
        opened.append(sqlite3.connect(":memory:", check_same_thread=False))
        return opened[0]

    def read() -> None:
        with readers.reader() as reader:
            rows.append(reader.one("SELECT 1"))

    opened: list[sqlite3.Connection] = []
    readers = pool.ReaderPool(connect)
    with readers.reader():
        thread = _in_thread(read)
        assert refused.wait(20)
    thread.join(20)
    assert rows == [(1,)]
    readers.close()
