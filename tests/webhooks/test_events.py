"""Events: stored with each change and with nothing else, told in bytes that stay the same."""

import ast
import json
import sqlite3
from pathlib import Path

import httpx
import pytest

from keva import events, identity, tickets
from keva.api.endpoints import ENDPOINTS
from keva.envelopes import ENVELOPES, envelope, example
from keva.errors import Unavailable
from keva.identity import SCOPES, WRITE, Caller
from keva.models import NewMessage, NewTicket, TicketChange
from keva.storage.database import Database
from keva.testing import Keva
from tests.reliability.served import keva as command

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "events.golden"
TICKETS = "/api/v1/tickets"
NEW = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."}
ALL = 'A "quoted" \\ / <b>&amp;</b> é 🎉 \u2028 \u007f \u0001 \t\r\n end'


@pytest.fixture(scope="module")
def server():
    with Keva() as server:
        yield server


@pytest.fixture
def keva(server):
    server.reset()
    return server


@pytest.fixture
def client(keva):
    with httpx.Client(base_url=keva.url, headers={"Authorization": f"Bearer {keva.key}"}, timeout=10) as client:
        yield client


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "keva.db", identity.mint)
    yield database
    database.close()


def rows(database, columns="type"):
    with database.snapshot() as reader:
        return [row if len(row) > 1 else row[0] for row in reader.all(f"SELECT {columns} FROM events ORDER BY seq")]


# What is told


def test_the_bytes_of_each_kind_of_event_are_those_of_the_golden_file(keva, client):
    keva.freeze("2024-01-15T14:30:00Z")
    bodies = []
    keva.webhook(lambda call: bodies.append(call.body) or 200)
    client.post(TICKETS, json=NEW | {"subject": ALL, "customerName": "Zoë"})
    client.post(TICKETS, json=NEW)
    client.post(f"{TICKETS}/tkt_000001/messages", json={"body": ALL, "senderEmail": "zoe@example.com"})
    client.patch(f"{TICKETS}/tkt_000001", json={"status": "pending", "priority": "high", "assignedTo": "user_1"})
    client.patch(f"{TICKETS}/tkt_000001", json={"assignedTo": None, "status": "solved"})
    keva.answer("tkt_000001", "Closed.", status="closed", resolution_type="ai_autonomous", tags=["a"])
    keva.send("ticket.closed", ticketId="tkt_nowhere", resolution="solved", resolutionType=None)
    keva.deliver()

    assert b"\n".join(bodies) + b"\n" == GOLDEN.read_bytes()


def test_each_envelope_has_the_fields_of_the_documentation_in_their_order_and_fits_its_model():
    for body in GOLDEN.read_bytes().splitlines():
        told = json.loads(body)
        model = ENVELOPES[told["type"]]
        assert list(told) == ["id", "type", "createdAt", "data"]
        model.model_validate(told)
        documented = example(told["type"])
        assert list(told["data"]) == list(documented)
    assert {json.loads(body)["type"] for body in GOLDEN.read_bytes().splitlines()} == set(events.TYPES)


def test_an_envelope_is_told_as_it_was_stored_even_where_todays_limits_are_stricter():
    told = envelope(
        "ticket.created", "evt_1", "2024-01-15T14:30:00Z", example("ticket.created") | {"subject": "a" * 999}
    )
    assert json.loads(told)["data"]["subject"] == "a" * 999


def test_what_is_missing_of_an_event_is_null_so_that_those_behind_it_are_sent():
    assert json.loads(envelope("ticket.closed", "evt_1", "2024-01-15T14:30:00Z", {}))["data"] == {
        "ticketId": None,
        "resolution": None,
        "resolutionType": None,
    }


def test_what_is_told_of_a_ticket_is_what_held_when_it_happened(keva, client):
    client.post(TICKETS, json=NEW)
    client.patch(f"{TICKETS}/tkt_000001", json={"priority": "urgent"})
    [created] = keva.events("ticket.created")
    assert created["data"]["priority"] == "medium"


# When there is one


SAMPLES = {
    "create_ticket": (NEW, ["ticket.created"]),
    "update_ticket": ({"status": "solved"}, ["ticket.updated", "ticket.closed"]),
    "add_message": ({"body": "Any update?", "senderEmail": "customer@example.com"}, ["message.created"]),
}


@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if one.scope == WRITE], ids=lambda one: one.name)
def test_every_endpoint_that_writes_leaves_its_events_and_tells_who_it_was(database, endpoint):
    """A new one without a line in SAMPLES fails here."""
    with database.write() as tx:
        ticket_id, _ = tickets.create(tx, Caller("key_other", SCOPES, None), NewTicket.model_validate(NEW))
    body, expected = SAMPLES[endpoint.name]
    with Keva() as keva:
        key = keva.create_key()
        with keva._sandbox.database.snapshot() as reader:
            [row] = reader.all("SELECT id FROM keys")
        ticket_id = keva.seed()["id"]
        path = endpoint.path.replace("<ticket_id>", ticket_id)
        answer = httpx.request(endpoint.method, keva.url + path, json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == endpoint.status
        assert rows(keva._sandbox.database, "type, done_by") == [(kind, row[0]) for kind in expected]


def test_the_tables_of_tickets_are_written_to_by_their_verbs_an_import_and_erasing_alone():
    """Each verb of `tickets` that does so records an event; an import makes none, which is its contract, and erasing
    leaves none."""
    for path in (ROOT / "keva").rglob("*.py"):
        for function in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)):
            text = ast.unparse(function)
            if any(
                f"{verb} {table}" in text for verb in ("INSERT INTO", "UPDATE") for table in ("tickets", "messages")
            ):
                name = path.relative_to(ROOT).as_posix()
                assert name in ("keva/tickets.py", "keva/transfer/importer.py", "keva/erasing.py"), (
                    f"{name}: {function.name}"
                )
                if name == "keva/tickets.py" and not function.name.startswith("_insert"):
                    assert "events.record(" in text or "_record_change(" in text, function.name


def test_who_did_it_is_a_key_the_fixed_key_or_the_test(keva, client):
    client.post(TICKETS, json=NEW)
    keva.answer("tkt_000001", "Hello.")
    keva.send("ticket.closed", ticketId="tkt_1", resolution="solved", resolutionType=None)
    assert rows(keva._sandbox.database, "type, done_by") == [
        ("ticket.created", "fixed key"),
        ("message.created", "keva"),
        ("ticket.closed", "keva"),
    ]


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        ({}, {"status": "pending"}, [["status"]]),
        ({}, {"status": "pending", "priority": "low", "assignedTo": "user_1"}, [["status", "priority", "assignedTo"]]),
        ({}, {"assignedTo": "user_1", "priority": "high"}, [["priority", "assignedTo"]]),
        ({"assignedTo": "user_1"}, {"assignedTo": None}, [["assignedTo"]]),
        ({}, {"status": "open", "priority": "medium", "assignedTo": None}, []),
        ({}, {"status": "open", "priority": "high"}, [["priority"]]),
        ({}, {"status": "solved"}, [["status"], "solved"]),
        ({"status": "solved"}, {"status": "closed"}, [["status"], "closed"]),
        ({"status": "closed"}, {"status": "solved"}, [["status"], "solved"]),
        ({"status": "solved"}, {"status": "solved"}, []),
        ({"status": "closed"}, {"status": "open"}, [["status"]]),
        ({"status": "closed"}, {"priority": "low"}, [["priority"]]),
    ],
)
def test_a_change_tells_what_really_changed_and_then_whether_it_closed_the_ticket(
    keva, client, before, change, expected
):
    ticket = keva.seed(**before)
    assert client.patch(f"{TICKETS}/{ticket['id']}", json=change).status_code == 200
    told = [list(one["data"].get("changes", {})) or one["data"]["resolution"] for one in keva.events()]
    assert told == expected


def test_a_change_tells_the_old_value_and_the_new_one(keva, client):
    ticket = keva.seed(status="pending", assignedTo="user_1")
    client.patch(f"{TICKETS}/{ticket['id']}", json={"assignedTo": "user_2", "status": "closed"})
    updated, closed = keva.events()
    assert updated["data"]["changes"] == {
        "status": {"from": "pending", "to": "closed"},
        "assignedTo": {"from": "user_1", "to": "user_2"},
    }
    assert closed["data"] == {"ticketId": ticket["id"], "resolution": "closed", "resolutionType": None}


def test_a_new_ticket_is_one_event_and_a_message_to_a_closed_one_too(keva, client):
    client.post(TICKETS, json=NEW)
    client.patch(f"{TICKETS}/tkt_000001", json={"status": "closed"})
    client.post(f"{TICKETS}/tkt_000001/messages", json={"body": "Wait!", "senderEmail": "customer@example.com"})
    assert [event["type"] for event in keva.events()] == [
        "ticket.created",
        "ticket.updated",
        "ticket.closed",
        "message.created",
    ]
    assert [event["id"] for event in keva.events()] == [f"evt_{number:06}" for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", TICKETS, NEW | {"subject": " "}),
        ("PATCH", f"{TICKETS}/tkt_000001", {"status": "new"}),
        ("PATCH", f"{TICKETS}/tkt_nowhere", {"status": "solved"}),
        ("POST", f"{TICKETS}/tkt_nowhere/messages", {"body": "a", "senderEmail": "a@example.com"}),
        ("GET", f"{TICKETS}/tkt_000001", None),
    ],
)
def test_what_is_refused_or_only_read_is_no_event(keva, client, method, path, body):
    keva.seed()
    client.request(method, path, json=body)
    assert keva.events() == []


def test_import_seed_and_restore_make_none(tmp_path):
    db, copy = tmp_path / "keva.db", tmp_path / "copy.db"
    assert command("seed", 5, "--db", db).returncode == 0
    assert command("export", tmp_path / "tickets", "--db", db).returncode == 0
    assert command("import", tmp_path / "tickets", "--db", copy).returncode == 0
    assert command("backup", tmp_path / "backup", "--db", db).returncode == 0
    assert command("restore", tmp_path / "backup", "--db", db).returncode == 0
    for path in (db, copy):
        opened = Database(path, identity.mint)
        assert rows(opened) == []
        opened.close()


def test_an_event_and_its_change_are_both_there_or_neither(database, monkeypatch):
    everything = Caller(None, SCOPES, None)
    new = NewTicket.model_validate(NEW)
    with database.write() as tx:
        ticket_id, _ = tickets.create(tx, everything, new)

    def broken(*_, **__):
        raise Unavailable("The disk failed")

    monkeypatch.setattr(events, "record", broken)
    before = rows(database)
    writes = (
        lambda tx: tickets.update(tx, everything, ticket_id, TicketChange(status="solved")),
        lambda tx: tickets.add_message(tx, everything, ticket_id, NewMessage(body="a", senderEmail="a@example.com")),
    )
    for write in writes:
        with pytest.raises(Unavailable), database.write() as tx:
            write(tx)
    assert rows(database) == before
    with database.snapshot() as reader:
        assert reader.one("SELECT count(*) FROM tickets") == reader.one("SELECT count(*) FROM messages") == (1,)
        assert reader.one("SELECT status FROM tickets") == ("open",)


def test_a_ticket_and_its_event_are_both_there_or_neither(database, monkeypatch):
    mint = database.mint
    monkeypatch.setattr(database, "mint", lambda prefix: None if prefix == "evt" else mint(prefix))
    before = rows(database)
    with pytest.raises(sqlite3.IntegrityError, match=r"events\.id"), database.write() as tx:
        tickets.create(tx, Caller(None, SCOPES, None), NewTicket.model_validate(NEW))
    assert rows(database) == before


def test_an_answer_is_one_transaction(keva):
    ticket = keva.seed()
    with pytest.raises(ValueError, match="status must be"):
        keva.answer(ticket["id"], "Hello.", status="new")
    assert keva.events() == []
    assert len(keva.messages(ticket["id"])) == 1
