"""Several processes on one file, readers beside writers, and what a long run costs."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from keva.storage import backups
from keva.storage.lock import FileLock
from keva.storage.paths import LOCK, beside
from tests.commands import PIPE, ROOT, Command, environ

from .served import KEY, Client, Load, Server, count, is_unavailable, keva, process, refused, until
from .system import Call, Held, calls_in, held_by, needs_proc, needs_strace, traced

Serve = Callable[..., Server]
WAL_BOUND = 16 * 1024 * 1024


def test_a_second_server_on_the_same_file_is_refused(serve: Serve, db: Path) -> None:
    server = serve()
    told = refused(process("serve", "--port", "0", "--db", db, KEVA_API_KEY=KEY))
    assert "is being served already" in told
    with server.client() as client:
        assert client.create().status == 201


def test_of_servers_started_at_once_exactly_one_serves(db: Path) -> None:
    how = {"env": environ(KEVA_API_KEY=KEY), "stdout": PIPE, "stderr": PIPE}
    servers = [Command("--port", "0", "--db", db, **how) for _ in range(4)]
    try:
        until(lambda: sum(server.poll() is not None for server in servers) >= 3, 20)
        [serving] = [server for server in servers if server.poll() is None]
        assert serving.stdout.readline().startswith("Keva is listening on ")
    finally:
        for server in servers:
            server.kill()
        told = [server.stderr.read() for server in servers]
        for server in servers:
            server.close()
    assert sum("is being served already" in one for one in told) == 3
    assert backups.check(db) == []


def test_commands_run_at_once_on_a_file_that_is_not_there_all_succeed(tmp_path: Path) -> None:
    for number in range(2):
        words = ["import", os.devnull, "--db", tmp_path / f"{number}.db"]
        commands = [Command(*words, stderr=PIPE) for _ in range(4)]
        for one in commands:
            with one:
                assert (one.stderr.read(), one.wait(10)) == ("", 0)
        assert count(tmp_path / f"{number}.db", "workspaces") == 1


def test_a_desk_named_by_a_link_is_the_desk_it_leads_to(serve: Serve, db: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(db)
    serve()
    told = refused(process("serve", "--port", "0", "--db", tmp_path / "link.db"))
    assert "is being served already" in told
    assert keva("keys", "create", "--db", tmp_path / "link.db").returncode == 0
    assert count(db, "keys") == 1
    assert sorted(path.name for path in tmp_path.glob("link.db*")) == ["link.db"]


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_key_and_workspace_commands_beside_a_busy_server_are_done_soon_and_heeded_at_once(
    serve: Serve, db: Path, rounds: int, figures: Counter[str]
) -> None:
    server = serve()
    slowest = 0.0
    with Load(server) as load:
        for _ in range(rounds):
            for seconds in _make_and_revoke_a_key(server):
                slowest = max(slowest, seconds)
    assert slowest < 5
    assert load.refused == []
    server.kill()
    assert load.promised.missing(db) == []
    figures["key and workspace commands run beside a server at full speed"] += 3 * rounds
    figures["milliseconds that the slowest of them took"] = round(1000 * slowest)


def _make_and_revoke_a_key(server: Server) -> Iterator[float]:
    seconds, made = _timed("workspaces", "create", "--name", "Other", "--db", server.db)
    yield seconds
    seconds, key = _timed("keys", "create", "--workspace", made.split()[0], "--db", server.db)
    yield seconds
    with server.client(key.split()[1]) as client:
        assert client.tickets().json["pagination"]["total"] == 0
        seconds, _ = _timed("keys", "revoke", key.split()[0], "--db", server.db)
        assert client.tickets().status == 401
    yield seconds


def _timed(*command: object) -> tuple[float, str]:
    began = time.monotonic()
    done = process(*command)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began, done.stdout


def test_key_and_workspace_commands_work_while_no_server_runs(serve: Serve, db: Path) -> None:
    keva("import", os.devnull, "--db", db)
    workspace = keva("workspaces", "create", "--name", "Other", "--db", db).stdout.split()[0]
    kept, text = keva("keys", "create", "--workspace", workspace, "--db", db).stdout.split()
    revoked, other = keva("keys", "create", "--db", db).stdout.split()
    assert keva("keys", "revoke", revoked, "--db", db).returncode == 0
    assert kept in keva("keys", "list", "--db", db).stdout
    server = serve()
    with server.client(text) as client, server.client(other) as stranger:
        assert client.create().status == 201
        assert stranger.create().status == 401


@contextmanager
def _turn_held(db: Path) -> Iterator[None]:
    lock = FileLock(beside(db, LOCK))
    try:
        until(lock.acquire)
        yield
    finally:
        lock.close()


def test_while_another_process_holds_the_turn_writes_are_refused_soon_and_reads_go_on(serve: Serve, db: Path) -> None:
    server = serve()
    with server.client() as client:
        client.create()
        with _turn_held(db):
            assert 0.5 < _seconds_to_a_refusal(client) < 2.5
            assert _seconds_to_a_refusal(client) < 0.5
            assert client.tickets().status == 200
            assert is_unavailable(client.health())
        assert client.create().status == 201
        assert client.health().status == 200


def _seconds_to_a_refusal(client: Client) -> float:
    began = time.monotonic()
    assert is_unavailable(client.create())
    return time.monotonic() - began


def test_a_command_that_cannot_have_its_turn_says_so(serve: Serve, db: Path) -> None:
    serve()
    with _turn_held(db):
        assert "Another Keva command is writing" in refused(keva("keys", "create", "--db", db))


def test_a_turn_is_let_go_when_its_holder_is_killed(serve: Serve, db: Path) -> None:
    hold = "import sys; from keva.storage.lock import FileLock; from pathlib import Path; "
    hold += "lock = FileLock(Path(sys.argv[1])); print(lock.acquire(), flush=True); sys.stdin.read()"
    server = serve()
    with server.client() as client:
        command = [sys.executable, "-c", hold, str(beside(db, LOCK))]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=ROOT, **pipes) as holder:
            assert holder.stdout.readline() == "True\n"
            assert client.create().status == 503
            holder.kill()
        assert client.create().status == 201


@needs_strace
def test_nobody_writes_to_the_database_but_in_its_turn(serve: Serve, db: Path) -> None:
    trace, other = db.with_name("trace"), db.with_name("trace-of-keys")
    assert keva("import", os.devnull, "--db", db).returncode == 0
    calls = "flock,pwrite64,fdatasync,fsync,ftruncate"
    server = serve(wrapper=traced(trace, calls))
    with Load(server) as load:
        assert process("keys", "create", "--db", db, wrapper=traced(other, calls)).returncode == 0
        until(lambda: db.stat().st_size > 300_000, 30)  # there was a checkpoint
    server.kill()
    assert len(load.promised) > 0
    for file in (trace, other):
        assert _out_of_turn(calls_in(file), db) == []


def _out_of_turn(calls: list[Call], db: Path) -> list[Call]:
    """What was written to the database or its WAL, or synced, while the process did not hold the lock."""
    guarded = {str(db), f"{db}-wal"}
    held, found, written = False, [], 0
    for call in calls:
        if call.name == "flock" and call.file == f"{db}{LOCK}":
            held = call.result == 0 and "LOCK_UN" not in call.text
        elif call.file in guarded:
            written += 1
            if not held:
                found.append(call)
    assert written > 0
    return found


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_the_wal_stays_bounded_under_constant_writes_and_reads(
    serve: Serve, db: Path, seconds: int, figures: Counter[str]
) -> None:
    server = serve()
    with Load(server) as load, _readers(server, 2):
        largest = _largest_wal(db, seconds)
        with closing(_long_reader(db)):
            load.goes_on(by=300, seconds=60)
        largest_after = _settled_wal(db, load)
    assert largest < WAL_BOUND
    assert largest_after < 2 * WAL_BOUND
    figures["KiB that the WAL grew to under constant writes and reads"] = largest // 1024
    figures["KiB that it had once a long reader had ended"] = largest_after // 1024


def _largest_wal(db: Path, seconds: float) -> int:
    over, largest = time.monotonic() + seconds, 0
    while time.monotonic() < over:
        largest = max(largest, beside(db, "-wal").stat().st_size)
        time.sleep(0.01)
    return largest


def _settled_wal(db: Path, load: Load) -> int:
    """Its size when it has been written anew from its start, which a long reader had kept it from."""
    folded = db.stat().st_mtime_ns
    until(lambda: load.goes_on(by=20, seconds=60) or db.stat().st_mtime_ns > folded, 60)
    load.goes_on(by=100, seconds=60)
    return beside(db, "-wal").stat().st_size


def _long_reader(db: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM tickets").fetchall()
    return connection


@contextmanager
def _readers(server: Server, number: int) -> Iterator[None]:
    ended = threading.Event()

    def read() -> None:
        with server.client() as client:
            while not ended.is_set():
                assert client.ask("GET", "/api/v1/tickets?per_page=20").status == 200

    threads = [threading.Thread(target=read) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@needs_proc
@pytest.mark.parametrize("requests", [2000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_many_requests_leave_no_more_files_threads_or_memory_in_use(
    serve: Serve, requests: int, figures: Counter[str]
) -> None:
    server = serve()
    with _readers(server, 24):  # so that each thread has its connection
        _mixed_requests(server, 160)
    before = _held_at_rest(server)
    _mixed_requests(server, requests)
    after = _held_at_rest(server)
    # A thread that had read nothing until now opens its connection, of three files.
    assert after.files <= before.files + 3 * before.threads
    assert after.threads <= before.threads
    assert after.kilobytes < before.kilobytes + 8192
    figures["mixed requests, before and after which the server was measured"] += requests
    for what, one, other in zip(("open files", "threads", "KiB of memory"), before, after, strict=True):
        figures[f"{what} before them"], figures[f"{what} after them"] = one, other


def _held_at_rest(server: Server) -> Held:
    time.sleep(0.5)  # by then the connections that were just closed are closed there too
    return held_by(server.pid)


def _mixed_requests(server: Server, number: int) -> None:
    with server.client() as client, server.client("keva_live_wrong") as stranger:
        ticket = client.create().data["id"]
        for count in range(number // 8):
            client.create(f"Number {count}")
            client.change(ticket, assignedTo=str(count))
            client.ask("GET", f"/api/v1/tickets/{ticket}")
            client.tickets()
            client.ask("GET", "/api/v1/nowhere")
            client.ask("POST", "/api/v1/tickets", {"subject": 1})
            stranger.tickets()
            with server.client() as other:  # a connection of its own
                other.health()
