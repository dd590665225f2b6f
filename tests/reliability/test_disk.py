"""A disk that is full, read-only or failing: refusals that can be read, nothing half stored, and the way back."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keva import identity
from keva.api.app import create_app
from keva.storage import backups
from keva.storage.database import Database
from keva.storage.paths import beside

from .faulty import wrap_connections
from .served import (
    KEY,
    Client,
    Load,
    Promised,
    Server,
    count,
    is_unavailable,
    keva,
    process,
    refused,
    until,
)
from .system import calls_in, failing, needs_strace, remount, small_disk, traced

Serve = Callable[..., Server]
UNTIL_RESTART = "until Keva is started again"


@contextmanager
def _full(server: Server) -> Iterator[None]:
    """While it lasts, no file of the server can grow."""
    resource = pytest.importorskip("resource", reason="this system knows no limit of file sizes")
    if sys.platform != "linux":
        pytest.skip("a running process's limits cannot be set here")
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    size = beside(server.db, "-wal").stat().st_size
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size + 2048, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


def _refuses_writes_and_reads_on(client: Client, retry: bool = True) -> None:
    ticket = client.tickets().data[0]["id"]
    messages = client.ask("GET", f"/api/v1/tickets/{ticket}/messages").data
    assert is_unavailable(client.create("KevaError"), retry)
    assert is_unavailable(client.say(ticket, "KevaError"), retry)
    assert is_unavailable(client.change(ticket, assignedTo="KevaError"), retry)
    assert is_unavailable(client.health(), retry)
    assert client.ask("GET", f"/api/v1/tickets/{ticket}/messages").data == messages
    assert client.ask("GET", f"/api/v1/tickets/{ticket}").data["assignedTo"] is None


def _writes_again(client: Client) -> None:
    assert client.create("Back").status == 201
    assert client.health().status == 200


def test_when_files_may_not_grow_writes_are_refused_and_come_back_with_the_space(
    serve: Serve, db: Path, figures: Counter[str]
) -> None:
    server = serve()
    with server.client() as client:
        client.create()
        before = count(db, "tickets"), count(db, "messages")
        with _full(server):
            _refuses_writes_and_reads_on(client)
        assert (count(db, "tickets"), count(db, "messages")) == before
        _writes_again(client)
    assert backups.check(db) == []
    figures["faults injected: a limit of file sizes"] += 1


@pytest.mark.parametrize("rounds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_a_disk_that_fills_up_under_load_again_and_again_loses_nothing_acknowledged(
    serve: Serve, db: Path, rounds: int, figures: Counter[str]
) -> None:
    server = serve()
    with Load(server) as load:
        for _ in range(rounds):
            with _full(server):
                load.is_refused()
            load.goes_on()
    assert all(is_unavailable(answer) for answer in load.refused)
    server.kill()
    assert load.promised.missing(db) == []
    assert backups.check(db) == []
    figures["faults injected: a limit of file sizes"] += rounds
    figures["writes refused by a bad disk, each with 503"] += len(load.refused)


def test_a_full_disk_refuses_writes_keeps_reads_and_takes_writes_once_there_is_room(
    serve: Serve, tmp_path: Path, figures: Counter[str]
) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        server = serve(db=disk / "keva.db")
        with server.client() as client:
            client.create()
            (disk / "ballast").write_bytes(bytes(_room(disk)))
            _fill_up(client)
            _refuses_writes_and_reads_on(client)
            assert "full" in client.health().json["error"]
            (disk / "ballast").unlink()
            _writes_again(client)
        assert server.stop() == 0
        assert backups.check(server.db) == []
    figures["faults injected: a small file system filled up"] += 1


def test_a_restart_on_a_full_disk_reads_and_writes_once_there_is_room(serve: Serve, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        server = serve(db=disk / "keva.db")
        with server.client() as client:
            ticket = client.create().data["id"]
            (disk / "ballast").write_bytes(bytes(_room(disk)))
            _fill_up(client)
        server.kill()
        server = serve(db=disk / "keva.db")
        with server.client() as client:
            assert client.ask("GET", f"/api/v1/tickets/{ticket}").status == 200
            (disk / "ballast").unlink()
            _writes_again(client)
        server.kill()


def test_a_backup_to_a_full_disk_leaves_the_older_one(serve: Serve, db: Path, tmp_path: Path) -> None:
    serve().stop()
    with small_disk(tmp_path / "disk", "256k") as disk:
        target = disk / "backup"
        assert keva("backup", target, "--db", db).returncode == 0
        before = target.read_bytes()
        (disk / "ballast").write_bytes(bytes(_room(disk)))
        assert "disk" in refused(keva("backup", target, "--db", db)).lower()
        assert target.read_bytes() == before
        assert sorted(path.name for path in disk.iterdir()) == ["backup", "ballast"]


def _room(disk: Path) -> int:
    system = os.statvfs(disk)
    return system.f_bavail * system.f_frsize


def _fill_up(client: Client) -> None:
    for _ in range(500):
        if client.create(body="x" * 20_000).status == 503:
            return
    raise AssertionError("the disk never filled up")


def test_a_read_only_file_system_is_told_at_the_start_in_one_sentence(serve: Serve, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        db = disk / "keva.db"
        assert keva("import", os.devnull, "--db", db).returncode == 0
        before = db.read_bytes()
        remount(disk, "ro")
        told = refused(process("serve", "--port", "0", "--db", db, KEVA_API_KEY=KEY))
        assert "read-only" in told.lower() or "folder" in told
        assert db.read_bytes() == before
        remount(disk, "rw")
        serve(db=db).kill()


def test_a_read_only_database_refuses_writes_and_reads_on(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = wrap_connections(monkeypatch)
    with _api(db) as (_, client):
        assert _create(client).status_code == 201
        connections[0].execute("PRAGMA query_only = ON")
        answer = _create(client)
        assert (answer.status_code, list(answer.json)) == (503, ["error"])
        assert "Retry-After" not in answer.headers  # waiting does not help
        assert "read-only" in client.get("/healthz").json["error"]
        assert client.get("/api/v1/tickets", headers=_AUTHORIZED).json["pagination"]["total"] == 1
        connections[0].execute("PRAGMA query_only = OFF")
        assert _create(client).status_code == 201
        assert client.get("/healthz").status_code == 200


@needs_strace
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_failed_write_stores_nothing_and_the_next_one_may_work(
    serve: Serve, db: Path, error: str, figures: Counter[str]
) -> None:
    server = serve()
    with server.client() as client:
        client.create()
        with failing(server.pid, "pwrite64", error, beside(db, "-wal")):
            _refuses_writes_and_reads_on(client)
        _writes_again(client)
        assert client.tickets().json["pagination"]["total"] == 2
    server.kill()
    assert count(db, "tickets") == 2
    assert backups.check(db) == []
    figures[f"faults injected: {error} at a write"] += 1


@needs_strace
def test_after_a_failed_sync_nothing_is_written_until_a_restart(serve: Serve, db: Path, figures: Counter[str]) -> None:
    server = serve()
    with server.client() as client:
        kept = client.create("Kept").data["id"]
        with failing(server.pid, "fdatasync,fsync", "EIO"):
            assert client.create("Uncertain").status == 503
        for _ in range(3):  # the disk is well again, but what it lost is not known
            assert UNTIL_RESTART in client.create("KevaError").json["error"]
        _refuses_writes_and_reads_on(client, retry=False)
        assert UNTIL_RESTART in client.health().json["error"]
        assert client.ask("GET", f"/api/v1/tickets/{kept}").data["subject"] == "Kept"
    assert UNTIL_RESTART in server.log
    server.kill()
    with serve().client() as client:
        _writes_again(client)
        assert client.ask("GET", f"/api/v1/tickets/{kept}").data["subject"] == "Kept"
        assert backups.check(db) == []
    figures["faults injected: EIO at a sync"] += 1


@needs_strace
def test_a_write_whose_sync_failed_is_not_told_that_nothing_was_stored_or_to_try_again(serve: Serve) -> None:
    server = serve()
    with server.client() as client:
        with failing(server.pid, "fdatasync,fsync", "EIO"):
            answer = client.create("Uncertain")
        assert is_unavailable(answer, retry=False)  # it may be there after a restart, and waiting does not help
        assert "nothing was stored" not in answer.json["error"].lower()
        assert "try again" not in answer.json["error"].lower()


@needs_strace
def test_a_desk_whose_sync_failed_is_not_written_to_while_it_stops(serve: Serve, db: Path) -> None:
    server = serve()
    with server.client() as client:
        client.create()
        with failing(server.pid, "fdatasync,fsync", "EIO"):
            assert client.create().status == 503
    before = db.read_bytes()
    assert server.stop() == 0
    assert db.read_bytes() == before


@needs_strace
@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_sync_that_fails_under_load_loses_nothing_acknowledged(
    serve: Serve, db: Path, rounds: int, figures: Counter[str]
) -> None:
    promised = Promised()
    for _ in range(rounds):
        server = serve()
        with Load(server, promised) as load:
            time.sleep(0.2)
            with failing(server.pid, "fdatasync,fsync", "EIO"):
                load.is_refused(by=7)
            acknowledged = len(promised)
            time.sleep(0.1)
            assert len(promised) == acknowledged
        server.kill()
        assert promised.missing(db) == []
    assert backups.check(db) == []
    figures["faults injected: EIO at a sync"] += rounds


@needs_strace
def test_a_checkpoint_that_fails_loses_nothing_and_is_told(serve: Serve, db: Path, figures: Counter[str]) -> None:
    server = serve()
    with Load(server) as load, failing(server.pid, "pwrite64", "EIO", db):
        until(lambda: "checkpoint" in server.log, 30)
        load.goes_on(by=10)  # the WAL takes what comes
    server.kill()
    assert load.promised.missing(db) == []
    assert backups.check(db) == []
    figures["faults injected: EIO at a checkpoint"] += 1


@needs_strace
def test_a_checkpoint_whose_sync_fails_ends_all_writing_until_a_restart(
    serve: Serve, db: Path, figures: Counter[str]
) -> None:
    server = serve()
    with Load(server) as load, failing(server.pid, "fdatasync,fsync", "EIO", db):
        until(lambda: "checkpoint" in server.log, 30)
        until(lambda: load.refused)
    with server.client() as client:
        assert UNTIL_RESTART in client.create().json["error"]
        assert is_unavailable(client.health(), retry=False)
        assert client.tickets().status == 200
    server.kill()
    assert load.promised.missing(db) == []
    with serve().client() as client:
        _writes_again(client)
    figures["faults injected: EIO at a checkpoint"] += 1


@needs_strace
def test_a_start_whose_disk_fails_is_one_sentence(db: Path) -> None:
    assert keva("import", os.devnull, "--db", db).returncode == 0
    trace = db.with_name("trace")
    wrapper = (*traced(trace, "pwrite64"), "-e", "inject=pwrite64:error=EIO")
    done = process("keys", "create", "--db", db, wrapper=wrapper)
    assert "disk" in refused(done)
    assert any(call.result == -1 for call in calls_in(trace))
    assert backups.check(db) == []


# The API without a server around it.

_AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


@contextmanager
def _api(db: Path) -> Iterator[tuple[Database, Any]]:
    database = Database(db, identity.mint)
    try:
        yield database, create_app(database, identity.Keyring(KEY)).test_client()
    finally:
        database.close()


def _create(client: Any) -> Any:
    sent = {"subject": "Help", "body": "It does not work.", "customerEmail": "ann@example.com"}
    return client.post("/api/v1/tickets", json=sent, headers=_AUTHORIZED)
