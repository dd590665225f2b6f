"""Events and their deliveries, whatever ends the server: none is lost, and none is told that was not stored."""

import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from keva import identity, tickets
from keva.models import NewTicket
from keva.storage import backups
from keva.storage.database import Database
from keva.webhooks import outbox, registry
from keva.webhooks.recorder import Recorder
from keva.webhooks.sender import Sender
from tests.receiver import OK, Call, Receiver, drip, status, unused_port

from .served import TICKET, Load, Promised, Server, keva, until
from .system import held_by, killed_at_each_step, needs_fork, needs_proc

Serve = Callable[..., Server]
NEW = NewTicket.model_validate({"subject": "Help", **TICKET})
EVERYTHING = identity.Caller(None, identity.SCOPES, None)


def _webhook(db: Path, url: str) -> str:
    if not db.exists():
        keva("import", os.devnull, "--db", db)
    done = keva("webhooks", "create", url, "--db", db)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def _due(db: Path) -> int:
    with closing(Database(db, identity.mint)) as database, database.snapshot() as reader:
        return sum(outbox.overview(reader, webhook)["due"] for webhook in registry.list_all(reader, time.time()))


def _stored(db: Path) -> list[str]:
    """The ids of all events, in order."""
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM events ORDER BY seq")]


def _all_arrive(receiver: Receiver, stored: list[str]) -> None:
    receiver.wait_for(len(stored), 120)
    until(lambda: {call.id for call in receiver.calls} >= set(stored), 120)


def _untold(promised: Promised, calls: list[Call]) -> list[Any]:
    """What was acknowledged and has no event among these."""
    told = [call.event for call in calls]
    created = {event["data"]["ticketId"] for event in told if event["type"] == "ticket.created"}
    said = {event["data"]["messageId"] for event in told if event["type"] == "message.created"}
    changes = [event["data"] for event in told if event["type"] == "ticket.updated"]
    assigned = {(data["ticketId"], data["changes"]["assignedTo"]["to"]) for data in changes}
    return [
        *(promised.subjects.keys() - created),
        *(promised.messages.keys() - said),
        *({(one, str(number)) for one, last in promised.changes.items() for number in range(1, last + 1)} - assigned),
    ]


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_every_acknowledged_change_is_told_after_kills_in_the_middle_of_writes_and_deliveries(
    serve: Serve, db: Path, kills: int, figures: Counter[str]
) -> None:
    keva("seed", 1, "--db", db)
    promised = Promised()
    with Receiver() as receiver:
        _webhook(db, receiver.url)
        for _ in range(kills):
            server = serve()
            with Load(server, promised, threads=3):
                time.sleep(random.uniform(0.05, 0.5))
                server.kill()
        server = serve()
        stored = _stored(db)
        _all_arrive(receiver, stored)
        until(lambda: _due(db) == 0)
        calls = receiver.calls
    assert _untold(promised, calls) == []
    first_arrivals = list(dict.fromkeys(call.id for call in calls))
    assert first_arrivals == stored  # and so nothing of what was refused or rolled back
    doubles = len(calls) - len(stored)
    assert doubles <= 102 * kills  # those of the last moment before each
    figures["kills -9 among writers and deliveries"] += kills
    figures["events of acknowledged writes, each of them delivered"] += len(stored)
    figures["of them twice, from the moment before a kill"] += doubles


def test_what_was_under_way_at_a_kill_comes_again_with_the_same_id_and_bytes(serve: Serve, db: Path) -> None:
    keva("seed", 1, "--db", db)
    hangs = [True]

    def answer(*_: object) -> bytes | None:
        if not hangs[0]:
            return OK
        time.sleep(20)
        return None

    with Receiver(answer) as receiver:
        _webhook(db, receiver.url)
        server = serve()
        with server.client() as client:
            client.create()
        receiver.wait_for(1)
        server.kill()
        hangs[0] = False
        serve()
        first, second = receiver.wait_for(2)
    assert (first.id, first.body) == (second.id, second.body)


@needs_fork
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_create_and_its_delivery_killed_at_any_step_tell_of_what_is_stored(
    db: Path, every: int, figures: Counter[str]
) -> None:
    with Receiver() as receiver:
        with closing(Database(db, identity.mint)) as database, database.write() as tx:
            webhook_id = registry.create(tx, receiver.url)["id"]

        def create_and_send() -> None:
            database = Database(db, identity.mint)
            with database.write() as tx:
                tickets.create(tx, EVERYTHING, NEW)
            _send_all(database, webhook_id)

        for step in killed_at_each_step(create_and_send):
            figures["creates with their deliveries killed at a step"] += 1
            if step % every == 0:
                with closing(Database(db, identity.mint)) as database:
                    _send_all(database, webhook_id)
                assert backups.check(db) == []
                assert {call.id for call in receiver.calls} == set(_stored(db))
        assert list(dict.fromkeys(call.id for call in receiver.calls)) == _stored(db)
    assert _due(db) == 0


def _send_all(database: Database, webhook_id: str) -> None:
    """What the dispatcher's threads do, in this one."""
    with database.snapshot() as reader:
        webhook = registry.get(reader, webhook_id, database.clock())
    recorder = Recorder(database)
    sender = Sender(database, recorder, webhook, lambda: False)
    while sender._send_what_is_due():
        recorder.store()
    sender._client.close()


def test_a_restored_backup_sends_what_was_due_when_it_was_made_and_nothing_delivered_before(
    serve: Serve, db: Path, tmp_path: Path
) -> None:
    """What was due then and delivered since comes twice: the receiver tells by its id."""
    keva("seed", 1, "--db", db)
    fails = [False]
    with Receiver(lambda *_: status(500) if fails[0] else OK) as receiver:
        _webhook(db, receiver.url)
        server = serve()
        with server.client() as client:
            for _ in range(5):
                client.create()
            before = [call.id for call in receiver.wait_for(5)]
            until(lambda: _due(db) == 0)
            fails[0] = True
            client.create()
            receiver.wait_for(6)
            until(lambda: "answered 500" in keva("webhooks", "deliveries", "--failed", "--db", db).stdout)
            assert keva("backup", tmp_path / "backup", "--db", db).returncode == 0
            client.create()
            receiver.wait_for(7)
        assert server.stop() == 0
        due_then, since = (call.id for call in receiver.calls[5:7])
        fails[0] = False
        assert keva("restore", tmp_path / "backup", "--db", db).returncode == 0
        serve()
        after = [call.id for call in receiver.wait_for(8, 30)[7:]]
        until(lambda: _due(db) == 0)
    assert after == [due_then]
    assert not {since, *before} & set(after)


def test_servers_on_copies_send_each_what_its_own_file_holds(serve: Serve, db: Path, tmp_path: Path) -> None:
    keva("seed", 1, "--db", db)
    copy = tmp_path / "copy.db"
    with Receiver() as receiver:
        _webhook(db, receiver.url)
        server = serve()
        with server.client() as client:
            client.create()
        receiver.wait_for(1)
        until(lambda: _due(db) == 0)
        server.stop()
        shutil.copy(db, copy)
        servers = (serve(), serve(db=copy))
        for one in servers:
            with one.client() as client:
                client.create()
        calls = receiver.wait_for(3)
        until(lambda: _due(db) == _due(copy) == 0)
    assert len({call.id for call in calls}) == 3
    assert len(receiver.calls) == 3


@needs_proc
def test_a_server_without_webhooks_has_no_thread_for_them(serve: Serve, db: Path) -> None:
    server = serve()
    with server.client() as client:
        client.create()
        before = held_by(server.pid)
        with Receiver() as receiver:
            webhook = _webhook(db, receiver.url)
            client.create()
            receiver.wait_for(1)
            assert held_by(server.pid).threads == before.threads + 2
            keva("webhooks", "delete", webhook, "--db", db)
            until(lambda: held_by(server.pid).threads == before.threads)


@needs_proc
@pytest.mark.parametrize("seconds", [1, pytest.param(40, marks=pytest.mark.slow)])
def test_beside_receivers_of_every_bad_kind_writes_go_on_and_memory_is_flat(
    serve: Serve, db: Path, seconds: int
) -> None:
    keva("seed", 1, "--db", db)

    def flood(_: Call, connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(1600):
            connection.sendall(b"x" * 65536)

    with (
        Receiver(lambda *_: time.sleep(60)) as silent,
        Receiver(lambda _, connection: drip(connection, b"HTTP/1.1 200 OK\r\nX: ")) as head,
        Receiver(lambda _, connection: drip(connection, b"HTTP/1.1 200 OK\r\n\r\n")) as body,
        Receiver(flood) as flooding,
        Receiver(lambda *_: status(500)) as failing,
        Receiver() as healthy,
    ):
        dead = f"http://127.0.0.1:{unused_port()}/"
        for one in (silent, head, body, flooding, failing, healthy):
            _webhook(db, one.url)
        for url in (dead, "http://there-is-no-such-name.invalid/"):
            _webhook(db, url)
        server = serve()
        with Load(server, threads=4) as load:
            load.goes_on(20)
            before = held_by(server.pid)
            time.sleep(seconds)
            after = held_by(server.pid)
            load.goes_on(20)
        assert load.refused == []
        assert after.kilobytes - before.kilobytes < 30_000
        assert after.threads <= before.threads
        _all_arrive(healthy, _stored(db))
        told = keva("webhooks", "deliveries", "--failed", "--db", db).stdout
        expected = {"refused the connection", "the name does not resolve", "answered 500"}
        if seconds > 30:
            expected.add("no answer within 15 s")
        assert {reason for reason in expected if reason in told} == expected
        assert server.stop() == 0


def test_events_name_rows_that_are_there_and_the_check_says_so(db: Path) -> None:
    with closing(Database(db, identity.mint)) as database, database.write() as tx:
        tickets.create(tx, EVERYTHING, NEW)
    assert backups.check(db) == []
    with closing(sqlite3.connect(db, isolation_level=None)) as connection:
        connection.execute("UPDATE events SET ticket = 99")
    assert [problem for problem in backups.check(db) if "events" in problem]
