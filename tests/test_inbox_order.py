"""The order of the inbox: every ticket knows its last message, and whether its customer waits for an answer."""

import json
import os
import sqlite3
from contextlib import closing

import pytest

from keva import identity, tickets
from keva.identity import SCOPES, Caller
from keva.models import NewMessage, NewTicket, TicketChange
from keva.storage import schema
from keva.storage.database import Database
from tests.conftest import ROOT
from tests.imports import imported

EVERYTHING = Caller(None, SCOPES, None)
NEW = NewTicket.model_validate({"subject": "It broke", "customerEmail": "customer@example.com", "body": "Really."})


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "keva.db", identity.mint)
    yield database
    database.close()


def create(database):
    with database.write() as tx:
        return tickets.create(tx, EVERYTHING, NEW)[0]


def say(database, ticket, direction):
    message = {"body": "And?", "senderEmail": "somebody@example.com", "direction": direction}
    with database.write() as tx:
        tickets.add_message(tx, EVERYTHING, ticket, NewMessage.model_validate(message))


def change(database, ticket, **values):
    with database.write() as tx:
        tickets.update(tx, EVERYTHING, ticket, TicketChange.model_validate(values))


def order(database):
    """The tickets' ids, the one with the newest message first."""
    with database.read() as reader:
        return [row[0] for row in reader.all("SELECT id FROM tickets ORDER BY last_message DESC")]


def waits(database, ticket):
    with database.read() as reader:
        return bool(reader.one("SELECT waiting FROM tickets WHERE id = ?", (ticket,))[0])


def problems(database):
    with sqlite3.connect(database.path) as connection:
        found = schema.problems_of(connection)
    connection.close()
    return found


def test_the_ticket_of_the_newest_message_comes_first_and_a_mere_change_moves_nothing(database):
    first, second, third = (create(database) for _ in range(3))
    assert order(database) == [third, second, first]
    say(database, first, "inbound")
    assert order(database) == [first, third, second]
    change(database, second, status="pending", assignedTo="user_1")
    assert order(database) == [first, third, second]
    assert problems(database) == []


@pytest.mark.parametrize(
    ("steps", "waiting"),
    [
        ([], True),
        (["outbound"], False),
        (["outbound", "inbound"], True),
        (["pending"], True),
        (["solved"], False),
        (["closed"], False),
        (["solved", "open"], False),
        (["closed", "inbound"], True),
        (["solved", "inbound", "outbound"], False),
        (["closed", "inbound", "closed"], False),
        (["solved", "inbound", "closed"], False),
    ],
)
def test_the_customer_waits_whose_last_message_nobody_answered_or_settled(database, steps, waiting):
    ticket = create(database)
    for step in steps:
        if step.endswith("bound"):
            say(database, ticket, step)
        else:
            change(database, ticket, status=step)
    assert waits(database, ticket) == waiting


def test_imported_tickets_come_in_the_files_order_and_wait_if_they_are_not_settled(database):
    create(database)
    answer = {"body": "Yes.", "direction": "outbound", "senderEmail": "support@company.com"}
    base = {"subject": "It broke", "customerEmail": "customer@example.com"}
    lines = [
        base | {"id": "tkt_1", "messages": [{"body": "Help"}, answer]},
        base | {"id": "tkt_2", "messages": [{"body": "Help"}, answer, {"body": "And now?"}]},
        base | {"id": "tkt_3", "status": "closed", "messages": [{"body": "Help"}]},
    ]
    imported(database, "\n".join(map(json.dumps, lines)).encode())
    assert order(database)[:3] == ["tkt_3", "tkt_2", "tkt_1"]
    assert [waits(database, f"tkt_{number}") for number in (1, 2, 3)] == [False, True, False]
    say(database, "tkt_1", "inbound")
    assert order(database)[0] == "tkt_1"
    assert problems(database) == []


def test_check_finds_a_ticket_that_names_another_message_as_its_last(database):
    ticket = create(database)
    with database.write() as tx:
        tx.all("UPDATE tickets SET last_message = 7")
    assert problems(database) == [f"ticket {ticket} names another message as its last one"]


def test_a_desk_of_before_is_put_in_order(tmp_path):
    path = tmp_path / "keva.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((ROOT / "tests/reliability/data/schema-5.sql").read_text())
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 5")
        wanted = connection.execute(
            """
            SELECT tickets.id, messages.seq, direction = 'inbound' AND status IN ('open', 'pending')
            FROM tickets JOIN messages ON messages.ticket = tickets.seq GROUP BY tickets.seq HAVING max(messages.seq)
            """
        ).fetchall()
    os.chmod(path, 0o600)
    database = Database(path, identity.mint)
    with database.read() as reader:
        assert reader.all("SELECT id, last_message, waiting FROM tickets ORDER BY seq") == wanted
    assert {waiting for _, _, waiting in wanted} == {0, 1}
    assert problems(database) == []
    database.close()
