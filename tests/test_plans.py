"""How SQLite answers each question of the desk: by an index, never by looking at every ticket."""

import io
import shutil
import sqlite3
from contextlib import closing, nullcontext

import pytest

from keva import conversations, identity, tickets, workspaces
from keva.identity import SCOPES, Caller, Keyring
from keva.models import ListQuery, NewMessage, NewTicket, TicketChange
from keva.search.find import find
from keva.search.index import SearchIndex
from keva.search.query import parse
from keva.search.statement import FEW
from keva.storage import schema
from keva.storage.database import Database
from keva.storage.transaction import Reader
from keva.transfer import exporter, samples
from keva.transfer.importer import TicketImporter

EVERYTHING = Caller(None, SCOPES, None)
ONE = Caller(None, SCOPES, 1)
NEW = NewTicket.model_validate({"subject": "It broke", "customerEmail": "customer@example.com", "body": "Really."})
MESSAGE = NewMessage.model_validate({"body": "Any update?", "senderEmail": "customer@example.com"})


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """The file of a desk with 5000 tickets."""
    file = tmp_path_factory.mktemp("filled") / "keva.db"
    with closing(Database(file, identity.mint)) as database, database.write() as tx:
        importer = TicketImporter(tx)
        for line in samples.records(5000):
            importer.store(line)
    return file


@pytest.fixture
def database(filled, tmp_path):
    shutil.copy(filled, tmp_path)
    with closing(Database(tmp_path / filled.name, identity.mint)) as database:
        yield database


@pytest.fixture
def asked(database, monkeypatch):
    """Every statement that runs from now on, with its values."""
    statements = {}
    run = Reader.all

    def remembered(self, sql, params=()):
        statements[sql] = params
        return run(self, sql, params)

    def remembered_as_well(self, sql, params=()):
        statements[sql] = params
        return each(self, sql, params)

    each = Reader.each
    monkeypatch.setattr(Reader, "all", remembered)
    monkeypatch.setattr(Reader, "each", remembered_as_well)
    return statements


def ask_everything(database):
    for caller in (EVERYTHING, ONE):
        with database.read() as reader:
            for page in (1, 100, 240):
                for status in (None, "open"):
                    query = ListQuery.model_construct(page=page, per_page=20, status=status, workspace_id=None)
                    list(tickets.list_page(reader, caller, query)[1])
            tickets.get(reader, caller, "tkt_seed7")
            list(tickets.list_messages(reader, caller, "tkt_seed7"))
            list(tickets.list_messages(reader, caller, "tkt_seed7", 7, 9))
            tickets.last_message(reader, "tkt_seed7")
        with database.write() as tx:
            tickets.create(tx, caller, NEW)
            tickets.update(tx, caller, "tkt_seed7", TicketChange.model_validate({"status": "closed"}))
            tickets.add_message(tx, caller, "tkt_seed7", MESSAGE)
    with database.write() as tx:
        key = identity.create_key(tx, "one", SCOPES, workspaces.list_all(tx)[0]["id"])["key"]
    with database.read() as reader:
        caller = Keyring().authenticate(reader, f"Bearer {key}", database.clock)
        caller.within(reader, workspaces.list_all(reader)[0]["id"])


def plans_of(database, asked):
    with closing(sqlite3.connect(database.path)) as connection:
        return {
            sql: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()]
            for sql, params in asked.items()
            if sql.split()[0] in ("SELECT", "INSERT", "UPDATE")
        }


def test_an_export_sorts_nothing(database, asked):
    exporter.export_tickets(database, io.BytesIO(), lambda *_: None)
    plans = plans_of(database, asked)
    assert len(plans) == 3
    assert [plan for plan in plans.values() if "TEMP B-TREE" in str(plan)] == []


def test_no_question_looks_at_every_ticket_or_sorts(database, asked):
    ask_everything(database)
    plans = plans_of(database, asked)
    assert len(plans) > 12
    for sql, plan in plans.items():
        steps = [step for step in plan if "TEMP B-TREE" in step or step.startswith("SCAN")]
        # What a subquery has found, a list of constants, the few workspaces and webhooks, and the one
        # row of what was erased may be looked at whole.
        found = (
            "SCAN (subquery",
            "SCAN SUBQUERY",
            "SCAN CONSTANT ROW",
            "SCAN workspaces",
            "SCAN webhooks",
            "SCAN erased",
        )
        assert [step for step in steps if not step.startswith(found)] == [], sql


@pytest.mark.parametrize(
    ("caller", "status", "index"),
    [
        (ONE, None, "tickets_in_workspace (workspace=? AND rowid<?)"),
        (ONE, "open", "tickets_in_workspace_with_status (workspace=? AND status=? AND rowid<?)"),
        (EVERYTHING, "open", "tickets_with_status (status=? AND rowid<?)"),
        (EVERYTHING, None, "INTEGER PRIMARY KEY (rowid<?)"),
    ],
)
def test_a_list_goes_by_the_index_of_its_question(database, asked, caller, status, index):
    with database.read() as reader:
        list(tickets.list_page(reader, caller, ListQuery.model_construct(page=1, per_page=20, status=status))[1])
    [plan] = plans_of(database, asked).values()
    assert [step for step in plan if step.endswith(index)], plan


@pytest.mark.parametrize("status", ["open", "pending", "solved", "closed", None])
def test_totals_are_true_after_every_kind_of_change(database, status):
    ask_everything(database)
    for number in range(1, 40):
        with database.write() as tx:
            change = TicketChange.model_validate({"status": ("open", "pending", "solved", "closed")[number % 4]})
            tickets.update(tx, EVERYTHING, f"tkt_seed{number}", change)

    query = ListQuery.model_construct(page=1, per_page=1, status=status)
    with database.read() as reader:
        there = reader.one("SELECT count(*) FROM tickets WHERE ifnull(?, status) = status", (status,))
        total, rows = tickets.list_page(reader, EVERYTHING, query)
        assert (total, len(list(rows))) == (there[0], 1)
    with sqlite3.connect(database.path) as connection:
        assert schema.problems_of(connection) == []
    connection.close()


def test_a_deep_page_begins_within_a_block_of_where_it_lies(database):
    query = ListQuery.model_construct(page=240, per_page=20, status=None, workspace_id=None)
    with database.read() as reader:
        below, before = tickets._skip_blocks(reader, EVERYTHING, query)
        assert below <= 5000
        assert before < 4096
        assert len(list(tickets.list_page(reader, EVERYTHING, query)[1])) == 20


@pytest.mark.parametrize("sql", ["UPDATE tickets SET workspace = 2", "UPDATE tickets SET seq = 9000"])
def test_what_would_make_the_totals_untrue_is_refused(database, sql):
    with pytest.raises(sqlite3.IntegrityError, match="ticket_counts would be wrong"), database.write() as tx:
        tx.all(sql)


# The inbox


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("priority:urgent refund", "tickets_of_priority (priority=?)"),
        ("tag:rare", "tickets_with_tags (tags=?)"),
        ("assigned:user_1", "tickets_of_assignee (assigned_to=?)"),
        ("status:pending", "tickets_with_status (status=?)"),
    ],
)
def test_a_search_asks_an_index_of_the_tickets_what_its_filter_leaves(database, monkeypatch, text, index):
    words, ran = SearchIndex(database.path), []
    words.catch_up(60)
    with words.reading() as connection:
        connection.set_trace_callback(ran.append)
        monkeypatch.setattr(words, "reading", lambda: nullcontext(connection))
        find(words, database, EVERYTHING, parse(text))
        [sql] = [sql for sql in ran if sql.endswith(f"LIMIT {FEW + 1}")]
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
    words.close()
    assert [step for step in plan if step.endswith(index)], plan
    assert [step for step in plan if "SCAN tickets" in step or "TEMP B-TREE" in step] == []


INBOX_FILTERS = [
    conversations.Filter(),
    conversations.Filter(status="open"),
    conversations.Filter(waiting=True),
    conversations.Filter(unassigned=True),
    conversations.Filter(assigned_to="user_1"),
    conversations.Filter(status="open", waiting=True, assigned_to="user_1"),
    conversations.Filter(status="pending", waiting=True, unassigned=True),
]


@pytest.mark.parametrize("wanted", INBOX_FILTERS)
@pytest.mark.parametrize("caller", [EVERYTHING, ONE])
def test_the_inbox_reads_a_page_and_its_counts_by_the_runs_of_one_index(database, asked, caller, wanted):
    with database.read() as reader:
        conversations.list_page(reader, caller, wanted, before=2500)
        conversations.counts(reader, caller, wanted)
    index = "tickets_of_assignee" if wanted.assigned_to else "tickets_by_last_message"
    with sqlite3.connect(database.path) as connection:
        for sql, params in asked.items():
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()]
            looked_up = [step for step in plan if step.startswith(("SEARCH tickets", "SCAN tickets"))]
            by_run = [step for step in looked_up if f"INDEX {index} (" in step]
            rest = set(looked_up) - set(by_run)
            assert rest <= {"SEARCH tickets USING INTEGER PRIMARY KEY (rowid=?)"}, sql
            if "UNION ALL" in sql:
                assert by_run
    connection.close()


def test_a_page_of_the_inbox_reads_as_many_rows_of_each_run_as_it_shows(database):
    """Each run stops where the page is full, so that a page costs the same at a thousand tickets and at a million."""
    with database.read() as reader:
        steps = [0]
        reader._connection.set_progress_handler(lambda: steps.__setitem__(0, steps[0] + 1), 1)
        for before in (conversations.NEWEST, 6000, 3000):
            steps[0] = 0
            assert len(conversations.list_page(reader, EVERYTHING, conversations.Filter(), before, 20)) == 20
            assert steps[0] < 20_000
        reader._connection.set_progress_handler(None, 1)
