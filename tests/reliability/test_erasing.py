"""Erasing: all of a ticket or a customer or nothing, no trace in any file, and nothing else that changes."""

import json
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from keva import conversations, erasing, events, forms, identity, tickets
from keva.cli.main import main
from keva.identity import SCOPES, Caller
from keva.models import ListQuery, NewMessage, NewTicket, TicketChange
from keva.search.find import find
from keva.search.index import SearchIndex
from keva.search.query import parse
from keva.storage import backups, write_connection
from keva.storage.database import Database
from keva.transfer import samples
from keva.transfer.importer import TicketImporter
from keva.transfer.records import TicketRecord
from keva.webhooks import outbox, registry
from keva.webhooks.client import Answer

from .served import Server, count, keva, refused
from .system import killed_at_each_step, needs_fork

EVERYTHING = Caller(None, SCOPES, None)
MARK = "zebramark"  # a word that the index keeps whole
ANN = f"{MARK}@example.com"
ONE = {"subject": "It broke", "customerEmail": "customer@example.com", "messages": [{"body": "Help"}]}


@pytest.fixture
def database(db: Path) -> Iterator[Database]:
    with closing(Database(db, identity.mint)) as database:
        yield database


@pytest.fixture
def index(database: Database) -> Iterator[SearchIndex]:
    """The one of a server, which stays open while a command erases."""
    with closing(SearchIndex(database.path)) as index:
        yield index


def _load(database: Database, *lines: dict[str, Any]) -> None:
    with database.write() as tx:
        importer = TicketImporter(tx)
        for line in lines:
            importer.store(TicketRecord.model_validate(ONE | line))


def _create(database: Database, **fields: str) -> str:
    new = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "Help"} | fields
    with database.write() as tx:
        return tickets.create(tx, EVERYTHING, NewTicket.model_validate(new))[0]


def _erase(database: Database, email: str = ANN) -> None:
    with database.write() as tx:
        erasing.erase(tx, erasing.of_customer(tx, email))


def _ids(database: Database) -> list[str]:
    with database.read() as reader:
        return [row[0] for row in reader.all("SELECT id FROM tickets ORDER BY seq")]


def _highest(database: Database) -> list[int]:
    with database.read() as reader:
        return [reader.one(f"SELECT max(seq) FROM {table}")[0] for table in ("tickets", "messages", "events")]


# No trace


def _places(db: Path, text: str = MARK) -> set[str]:
    """The files in which it is to be found."""
    return {path.name for path in db.parent.iterdir() if text.encode() in path.read_bytes().lower()}


def _be_everywhere(database: Database) -> None:
    """Puts the mark wherever a customer's text can come to lie."""
    said = {"body": f"{MARK} 1", "bodyHtml": f"<p>{MARK}", "senderName": MARK, "senderEmail": ANN}
    _load(
        database,
        {"subject": MARK, "customerEmail": ANN, "customerName": MARK, "tags": [MARK] * 400, "messages": [said]},
        {"messages": [{"body": "Help"}, said | {"body": MARK * 3000}]},
    )
    with database.write() as tx:
        hook = registry.create(tx, "http://127.0.0.1:1/")["id"]
    ticket = _create(database, subject=MARK, customerEmail=ANN, body=MARK)
    with database.write() as tx:
        tickets.update(tx, EVERYTHING, ticket, TicketChange.model_validate({"assignedTo": MARK}))
        forms.record(tx, forms.digest("user_1", "form", {"body": MARK}), ticket)
        message = NewMessage.model_validate(said | {"body": MARK})
        tickets.add_message(tx, EVERYTHING, ticket, message)
    with database.snapshot() as reader:
        webhook, told = registry.get(reader, hook, 0.0), outbox.after(reader, 0, 10)
    assert len(told) == 3
    tries = [outbox.outcome(webhook, seq, 1, Answer(500, "answered 500", f"no {MARK}"), 0.0) for seq, *_ in told]
    with database.write() as tx:
        outbox.store(tx, tries, {hook: told[-1][0]})


def _leave_traces(db: Path) -> None:
    """As in files from before, where nothing was overwritten: free pages, and gaps within those in use."""
    for file in (db, db.with_name("keva.db-search")):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA secure_delete = OFF")
            if file == db:
                connection.execute("UPDATE tickets SET tags = '[]', subject = 'It'")
            connection.execute("CREATE TABLE freed (text)")
            connection.execute("INSERT INTO freed VALUES (?)", (MARK * 3000,))
            connection.execute("DROP TABLE freed")
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_no_trace_of_a_customer_is_left_in_any_file(database: Database, index: SearchIndex, db: Path) -> None:
    _be_everywhere(database)
    assert index.catch_up(1) == 1
    _leave_traces(db)
    assert _places(db) == {"keva.db", "keva.db-search"}
    assert keva("erase", "--customer", ANN, "--yes", "--db", db).stdout.startswith(
        "Erased 2 tickets with 3 messages and 1 message in tickets of others."
    )
    assert _places(db) == set()
    assert [count(db, table) for table in ("tickets", "messages", "events", "deliveries", "sent_forms")] == [
        1,
        1,
        0,
        0,
        0,
    ]
    assert backups.check(db) == []


def test_traces_of_what_was_deleted_before_are_gone_too(database: Database, db: Path) -> None:
    """The row that is erased need not be where its text once stood."""
    _load(database, {"customerEmail": "ann@example.com", "subject": MARK * 20, "tags": [MARK] * 1000}, {})
    with closing(SearchIndex(db)) as index:
        index.catch_up(1)
    _leave_traces(db)
    assert _places(db) == {"keva.db", "keva.db-search"}
    assert keva("erase", "--customer", "ann@example.com", "--yes", "--db", db).returncode == 0
    assert _places(db) == set()


def test_what_a_command_left_that_was_cut_off_is_removed_by_the_next(database: Database, db: Path) -> None:
    _load(database, {"customerEmail": ANN}, {"id": "tkt_2"})
    _erase(database)
    assert _places(db) != set()
    done = keva("erase", "tkt_nowhere", "--db", db)
    assert (done.returncode, "is now out of the files too" in done.stderr) == (1, True)
    assert _places(db) == set()


def test_it_is_told_when_a_reader_keeps_traces_for_now(
    database: Database, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_connection, "_READERS_MILLISECONDS", 1)
    _load(database, {"customerEmail": ANN})
    with database.snapshot() as reader:
        assert reader.all("SELECT 1 FROM tickets") == [(1,)]
        told = refused(keva("erase", "--customer", ANN, "--yes", "--db", db))
        assert told.startswith(
            "It is erased, and no answer shows it any more, but traces of it are still in the files."
        )
    assert _ids(database) == []
    assert "out of the files" in keva("erase", "--customer", ANN, "--yes", "--db", db).stderr
    assert _places(db) == set()


def test_copies_beside_the_database_are_told_of_and_left(database: Database, db: Path) -> None:
    _load(database, {"customerEmail": ANN})
    kept = db.with_name("keva.db.schema-6-20240115T103000Z")
    shutil.copyfile(db, kept)
    done = keva("erase", "--customer", ANN, "--yes", "--db", db)
    assert done.stderr.splitlines() == [f"{kept} is a copy of the database from before, and still holds it."]
    assert kept.exists()


# All or nothing


@needs_fork
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_an_erasing_killed_at_any_step_is_whole_or_has_not_been(
    db: Path, tmp_path: Path, every: int, figures: Counter[str]
) -> None:
    with closing(Database(db, identity.mint)) as database:
        _be_everywhere(database)
    with closing(SearchIndex(db)) as index:
        index.catch_up(1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    seen = Counter[int]()

    def put_back() -> None:
        for path in tmp_path.iterdir():
            path.unlink()
        for name, content in before.items():
            (tmp_path / name).write_bytes(content)

    def erase() -> None:
        with closing(Database(db, identity.mint, create=False)) as database:
            _erase(database)
            erasing.scrub(database)

    for step in killed_at_each_step(erase, before=put_back):
        left = tuple(count(db, table) for table in ("tickets", "messages", "events", "sent_forms"))
        assert left in ((3, 5, 3, 1), (1, 1, 0, 0))
        assert backups.check(db) == []
        seen[left[0]] += 1
        if step % every == 0:
            keva("erase", "--customer", ANN, "--yes", "--db", db)
            assert _places(db) == set()
        figures["erasings killed in the middle"] += 1
    assert min(seen[1], seen[3]) > 5


def test_it_works_while_the_desk_is_served(serve: Callable[..., Server], db: Path) -> None:
    with serve().client() as client:
        erased, kept = (client.create(customerEmail=email).data["id"] for email in (ANN, "bob@example.com"))
        assert client.say(erased, MARK).status == 201
        assert keva("erase", erased, "--yes", "--db", db).returncode == 0
        assert _places(db) == set()
        assert [client.ask("GET", f"/api/v1/tickets/{one}").status for one in (erased, kept)] == [404, 200]
        assert client.ask("GET", f"/api/v1/tickets/{erased}/messages").status == 404
        assert client.say(erased, "Hello?").status == 404
        assert client.tickets().json["pagination"]["total"] == 1
        assert client.create().status == 201
    assert backups.check(db) == []


# What else there is


def test_totals_and_deep_pages_are_right(database: Database) -> None:
    with database.write() as tx:
        importer = TicketImporter(tx)
        for record in samples.records(9000):
            importer.store(record)
        tx.all("UPDATE tickets SET customer_email = ? WHERE seq % 7 = 0 OR seq BETWEEN 4096 AND 4200", (ANN,))
    _erase(database)
    with database.read() as reader:
        for status in (None, "open", "closed"):
            expected = reader.all("SELECT id FROM tickets WHERE ?1 IS NULL OR status = ?1 ORDER BY seq DESC", (status,))
            for page in (1, 41, 60, len(expected) // 100 + 1, len(expected) // 100 + 2):
                query = ListQuery.model_construct(page=page, per_page=100, status=status, workspace_id=None)
                total, rows = tickets.list_page(reader, EVERYTHING, query)
                shown = [json.loads(ticket)["id"] for _, ticket in rows]
                assert total == len(expected)
                assert shown == [ticket for (ticket,) in expected[page * 100 - 100 : page * 100]]
    assert backups.check(database.path) == []


def test_no_seq_is_used_again(database: Database) -> None:
    with database.write() as tx:
        hook = registry.create(tx, "http://127.0.0.1:1/")["id"]
    for _ in range(3):
        before = [_create(database, customerEmail=ANN), _highest(database)][1]
        with database.write() as tx:
            outbox.store(tx, [], {hook: before[2]})
        _erase(database)
        _create(database)
        assert [new > old for new, old in zip(_highest(database), before, strict=True)] == [True] * 3
        with database.read() as reader:  # the webhook has come to an event that is gone
            assert len(outbox.after(reader, registry.get(reader, hook, 0.0).cursor, 10)) == 1
    _create(database, customerEmail=ANN)
    highest = _highest(database)
    _erase(database)
    _load(database, {"id": "tkt_imported", "messages": [{"body": "1"}, {"body": "2"}]})
    assert _highest(database)[:2] == [highest[0] + 1, highest[1] + 2]
    assert backups.check(database.path) == []


def test_no_import_brings_it_back(database: Database, db: Path, tmp_path: Path) -> None:
    theirs = ONE | {"id": "tkt_1", "customerEmail": ANN, "messages": [{"id": "msg_1", "body": "Help"}]}
    other = ONE | {"id": "tkt_2", "messages": [{"id": "msg_1", "body": "Help"}]}
    _load(database, theirs)
    assert keva("erase", "tkt_1", "--yes", "--db", db).returncode == 0
    file = tmp_path / "tickets.jsonl"
    file.write_text("\n".join(map(json.dumps, (theirs, other))))
    told = [
        "Line 1: id tkt_1 was erased here, and is not used again; messages.0.id msg_1 was erased here, and is not used "
        "again.",
        "Line 2: messages.0.id msg_1 was erased here, and is not used again.",
    ]
    for options in ([], ["--check"]):
        assert keva("import", file, *options, "--db", db).stderr.splitlines()[:2] == told
    file.write_text("\n".join(map(json.dumps, (theirs, ONE))))
    assert "1 were there already" in keva("import", file, "--skip-existing", "--db", db).stdout
    assert len(_ids(database)) == 1


def test_a_search_finds_the_others_and_nothing_of_it(database: Database, index: SearchIndex, db: Path) -> None:
    oldest, newest = _create(database, body="common words"), _create(database, body="common words")
    assert len(find(index, database, EVERYTHING, parse("common")).messages) == 2
    for one in (newest, oldest):
        assert keva("erase", one, "--yes", "--db", db).returncode == 0
        new = _create(database, body="common again")
        found = find(index, database, EVERYTHING, parse("common"))
        with database.read() as reader:
            shown = [row["id"] for row in conversations.by_message(reader, EVERYTHING, found.messages)]
        assert shown == _ids(database)[::-1]
        assert new in shown


def test_the_index_of_a_server_drops_what_was_erased_by_itself(database: Database, index: SearchIndex) -> None:
    _create(database, customerEmail=ANN)
    assert index.catch_up(1) == 1
    _erase(database)
    assert index.catch_up(1) == 1
    assert _places(database.path) & {"keva.db-search", "keva.db-search-wal"} == set()


def test_what_came_of_a_try_that_was_under_way_is_dropped(database: Database) -> None:
    with database.write() as tx:
        hook = registry.create(tx, "http://127.0.0.1:1/")["id"]
    _create(database, customerEmail=ANN)
    with database.snapshot() as reader:
        webhook, [(seq, *_)] = registry.get(reader, hook, 0.0), outbox.after(reader, 0, 10)
    _erase(database)
    with database.write() as tx:
        outbox.store(tx, [outbox.outcome(webhook, seq, 1, Answer(200, None, MARK), 0.0)], {hook: seq})
    assert count(database.path, "deliveries") == 0
    with database.read() as reader:
        assert events.find(reader, seq) is None


def test_whatever_hangs_on_a_ticket_is_known_to_erasing(database: Database) -> None:
    """A table that comes to name tickets needs its line in `erasing.erase`."""
    with database.read() as reader:
        rows = reader.all(
            """
            SELECT DISTINCT tables.name FROM sqlite_schema AS tables JOIN pragma_foreign_key_list(tables.name) AS named
            WHERE tables.type = 'table' AND named."table" IN ('tickets', 'messages', 'events')
            """
        )
    assert {name for (name,) in rows} == {"messages", "events", "deliveries", "sent_forms"}


# Whose


def test_a_customer_is_meant_whatever_the_case_in_all_workspaces(database: Database, db: Path) -> None:
    _load(
        database,
        {"customerEmail": "Ann@Example.com"},
        {"id": "tkt_other", "customerEmail": "ann@example.com.au"},
        {"customerEmail": "ann@example.com", "workspaceId": "ws_2", "messages": [{"body": "1"}, {"body": "2"}]},
    )
    done = CliRunner().invoke(main, ["erase", "--customer", "ANN@example.COM", "--db", str(db)], input="n\n")
    [first, second, *_] = done.stderr.splitlines()
    assert first.startswith("Support (ws_")
    assert first.endswith("): 1 ticket with 1 message")
    assert second == "ws_2 (ws_2): 1 ticket with 2 messages"
    assert len(_ids(database)) == 3
    done = CliRunner().invoke(main, ["erase", "--customer", "ANN@example.COM", "--db", str(db)], input="y\n")
    assert "Erased 2 tickets with 3 messages. What backups and exports hold of it" in done.stdout
    assert _ids(database) == ["tkt_other"]


def test_what_they_wrote_in_tickets_of_others_goes_and_the_tickets_stay(database: Database, db: Path) -> None:
    ours = {"body": "Yes.", "direction": "outbound", "senderEmail": ANN}  # who is of the team too
    _load(
        database,
        {"id": "tkt_1", "messages": [{"body": "Help"}, {"body": "Me too", "senderEmail": ANN}, ours]},
        {"id": "tkt_2", "messages": [{"body": "Help"}, {"body": "Me too", "senderEmail": ANN}]},
        {"id": "tkt_3", "messages": [{"body": "For a colleague", "senderEmail": ANN}]},
    )
    _erase(database)
    assert _ids(database) == ["tkt_1", "tkt_2"]
    assert backups.check(db) == []
    with database.read() as reader:
        assert reader.all("SELECT body FROM messages ORDER BY seq") == [("Help",), ("Yes.",), ("Help",)]
        assert reader.all("SELECT waiting FROM tickets ORDER BY seq") == [(0,), (1,)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tkt_nowhere"], "There is no such ticket"),
        (["\udcff"], "There is no such ticket"),
        (["--customer", "nobody@example.com"], "There is no ticket and no message of nobody@example.com."),
        (["--customer", "\udcff"], "email holds half a surrogate pair"),
        (["tkt_1"], "Nobody answered, and nothing was erased: a script gives --yes."),
    ],
)
def test_what_cannot_be_erased_is_told(database: Database, db: Path, arguments: list[str], sentence: str) -> None:
    _load(database, {"id": "tkt_1"})
    done = keva("erase", *arguments, "--db", db)
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]
    assert _ids(database) == ["tkt_1"]


@pytest.mark.parametrize("arguments", [[], ["tkt_1", "--customer", ANN]])
def test_either_a_ticket_or_a_customer_is_named(database: Database, db: Path, arguments: list[str]) -> None:
    assert keva("erase", *arguments, "--yes", "--db", db).returncode == 2


def test_nothing_is_erased_while_another_command_writes(database: Database, db: Path) -> None:
    _load(database, {"id": "tkt_1"})
    with database.write():
        assert refused(keva("erase", "tkt_1", "--yes", "--db", db)).startswith("Another Keva command is writing")
    assert _ids(database) == ["tkt_1"]


def test_many_rows_are_erased_and_those_around_them_stay(database: Database) -> None:
    chance = random.Random(1)
    emails = [chance.choice([ANN, "bob@example.com"]) for _ in range(300)]
    created = [_create(database, customerEmail=email) for email in emails]
    _erase(database)
    assert _ids(database) == [one for one, email in zip(created, emails, strict=True) if email != ANN]
    assert backups.check(database.path) == []
