"""What was answered with success is on disk, whatever ends the server."""

import random
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from keva import identity
from keva.api.app import create_app
from keva.storage import backups
from keva.storage.database import Database

from .served import KEY, TICKET, Client, Load, Promised, Server, count, keva
from .system import Call, calls_in, killed_at_each_step, needs_fork, needs_strace, traced

Serve = Callable[..., Server]
_PAGE = 5000  # characters of a call that hold a whole page, and so the ids in it


def _files_beside(db: Path) -> set[str]:
    return {path.name.removeprefix(db.name) for path in db.parent.iterdir()}


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_what_was_acknowledged_is_found_again_after_each_kill_in_the_middle_of_writes(
    serve: Serve, db: Path, kills: int, figures: Counter[str]
) -> None:
    promised = Promised()
    for _ in range(kills):
        server = serve()
        assert _files_beside(db) == {"", "-wal", "-shm", "-lock", "-serving"}
        with Load(server, promised):
            time.sleep(random.uniform(0.05, 0.5))
            server.kill()
        assert promised.missing(db) == []
    server = serve()
    assert promised.missing(db) == []
    assert backups.check(db) == []
    with server.client() as client:
        assert client.create().status == 201
    figures["kills -9 in the middle of concurrent writes"] += kills
    figures["writes acknowledged before those kills, and found again"] += len(promised)


def test_a_kill_leaves_no_ticket_without_its_first_message(serve: Serve, db: Path) -> None:
    for _ in range(3):
        server = serve()
        with Load(server, threads=12):
            time.sleep(0.2)
            server.kill()
    with closing(sqlite3.connect(db)) as connection:
        alone = "SELECT id FROM tickets WHERE seq NOT IN (SELECT ticket FROM messages)"
        assert connection.execute(alone).fetchall() == []
    assert "is sound" in keva("check", "--db", db).stdout


@needs_fork
def test_a_create_killed_at_any_step_leaves_the_ticket_with_its_message_or_neither(db: Path) -> None:
    sent = {"subject": "Help", **TICKET}

    def create() -> None:
        app = create_app(Database(db, identity.mint), identity.Keyring(KEY))
        app.test_client().post("/api/v1/tickets", json=sent, headers={"Authorization": f"Bearer {KEY}"})

    Database(db, identity.mint).close()
    for _ in killed_at_each_step(create):
        assert count(db, "tickets") == count(db, "messages")
        assert backups.check(db) == []
    assert count(db, "tickets") == count(db, "messages") > 0  # the last one was left alive


def test_a_kill_leaves_nothing_to_repair_and_the_api_shows_what_it_acknowledged(serve: Serve) -> None:
    server = serve()
    with Load(server) as load:
        time.sleep(0.2)
        server.kill()
    with serve().client() as client:
        assert client.health().status == 200
        for ticket, subject in list(load.promised.subjects.items())[-20:]:
            assert client.ask("GET", f"/api/v1/tickets/{ticket}").data["subject"] == subject
            first = client.ask("GET", f"/api/v1/tickets/{ticket}/messages").data[0]
            assert first["direction"] == "inbound"


@needs_strace
@pytest.mark.parametrize("writes", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_each_single_write_is_synced_before_it_is_answered(
    serve: Serve, db: Path, writes: int, figures: Counter[str]
) -> None:
    trace = db.with_name("trace")
    server = serve(wrapper=traced(trace, "fdatasync,fsync,pwrite64,sendto", _PAGE))
    with server.client() as client:
        for _ in range(writes):
            assert client.create().status == 201
    server.kill()
    calls = calls_in(trace)
    between = _syncs_before_each_answer(calls)
    assert len(between) == writes
    assert min(between) >= 1
    assert _answered_before_its_sync(calls) == []
    figures["single writes acknowledged under strace"] += writes
    figures["syncs counted while they were made"] += sum(between)


@needs_strace
def test_concurrent_writes_share_syncs_and_none_is_answered_before_its_own(
    serve: Serve, db: Path, figures: Counter[str]
) -> None:
    trace = db.with_name("trace")
    server = serve(wrapper=traced(trace, "fdatasync,fsync,pwrite64,sendto", _PAGE))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: _create_many(server, 40), range(8)))
    server.kill()
    calls = calls_in(trace)
    between = _syncs_before_each_answer(calls)
    assert len(between) == 320
    assert 0 < sum(between) < 320
    assert _answered_before_its_sync(calls) == []
    figures["concurrent writes acknowledged under strace"] += len(between)
    figures["syncs that they shared"] += sum(between)


@needs_strace
def test_changes_and_messages_are_synced_before_they_are_answered_too(serve: Serve, db: Path) -> None:
    trace = db.with_name("trace")
    server = serve(wrapper=traced(trace, "fdatasync,fsync,pwrite64,sendto", _PAGE))
    with server.client() as client:
        ticket = client.create().data["id"]
        for number in range(20):
            assert client.say(ticket, "Thank you.").status == 201
            assert client.change(ticket, assignedTo=f"agent {number}").status == 200
    server.kill()
    between = _syncs_before_each_answer(calls_in(trace), "HTTP/1.1 20[01]")
    assert len(between) == 41
    assert min(between) >= 1


def _create_many(server: Server, number: int) -> None:
    with Client(server.port) as client:
        for _ in range(number):
            assert client.create().status == 201


def _syncs_before_each_answer(calls: list[Call], answers: str = "HTTP/1.1 201") -> list[int]:
    """How many syncs ended well between each answer and the one before it."""
    happened = sorted(calls, key=lambda call: call.left if call.name.endswith("sync") else call.entered)
    between, syncs = [], 0
    for call in happened:
        if call.name.endswith("sync") and call.result == 0:
            syncs += 1
        elif call.name == "sendto" and re.search(answers, call.text):
            between.append(syncs)
            syncs = 0
    return between


def _answered_before_its_sync(calls: list[Call]) -> list[str]:
    """The new tickets whose answer was sent before a sync that began after they were written to the WAL."""
    written: dict[str, int] = {}
    syncs = [call for call in calls if call.name.endswith("sync") and call.file.endswith("-wal") and call.result == 0]
    early = []
    for call in calls:
        if call.name == "pwrite64":
            for one in re.findall(r"tkt_\w{20}", call.text):
                written.setdefault(one, call.left)
        elif call.name == "sendto" and (answered := re.search(r"tkt_\w{20}", call.text)):
            at = written.get(answered[0], call.entered)
            if not any(at < sync.entered and sync.left < call.entered for sync in syncs):
                early.append(answered[0])
    return early
