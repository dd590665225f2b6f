"""Search: what finds a ticket, for whom, and an index that may vanish, be foreign or be behind."""

import json
import sqlite3
import stat
import threading

import pytest

from keva import conversations, identity, people, tickets, workspaces
from keva.identity import SCOPES, Caller
from keva.models import NewMessage, NewTicket, TicketChange
from keva.search import tables
from keva.search.find import find, of_customer
from keva.search.index import IndexMissing, SearchIndex
from keva.search.query import parse
from keva.storage import backups
from keva.storage.database import Database
from tests.imports import imported

EVERYTHING = Caller(None, SCOPES, None)


class Desk:
    def __init__(self, path):
        self.database = Database(path, identity.mint)
        self.index = SearchIndex(self.database.path)

    def ticket(self, body="Help", subject="It broke", email="jane@example.com", name="Jane Smith", caller=EVERYTHING):
        new = {"subject": subject, "customerEmail": email, "customerName": name, "body": body}
        with self.database.write() as tx:
            return tickets.create(tx, caller, NewTicket.model_validate(new))[0]

    def say(self, ticket, body, email="bob@example.com"):
        message = {"body": body, "senderEmail": email, "direction": "outbound"}
        with self.database.write() as tx:
            tickets.add_message(tx, EVERYTHING, ticket, NewMessage.model_validate(message))

    def change(self, ticket, **values):
        with self.database.write() as tx:
            tickets.update(tx, EVERYTHING, ticket, TicketChange.model_validate(values))

    def load(self, **fields):
        line = {"subject": "It broke", "customerEmail": "jane@example.com", "messages": [{"body": "Help"}]} | fields
        imported(self.database, json.dumps(line).encode())

    def pages(self, text, caller=EVERYTHING, limit=40):
        before = conversations.NEWEST
        while before is not None:
            found = find(self.index, self.database, caller, parse(text), before, limit)
            yield self.ids(found.messages, caller)
            before = found.before

    def find(self, text, caller=EVERYTHING):
        return [ticket for page in self.pages(text, caller) for ticket in page]

    def ids(self, seqs, caller=EVERYTHING):
        with self.database.read() as reader:
            return [row["id"] for row in conversations.by_message(reader, caller, seqs)]

    def close(self):
        self.index.close()
        self.database.close()


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "keva.db")
    yield desk
    desk.close()


@pytest.mark.parametrize(
    "text",
    [
        "refund",
        "REFUND",
        "refu",
        "invoice",
        "zoe",
        "Zoë",
        "zoe@example.com",
        "example.com",
        "bob",
        "was paid twice",
        '"paid twice"',
        "#4711",
        "from:zoe",
        "from:zoe@example.com",
        'from:"zoë müller"',
        "from:bob",
        "unknown:word",
        'unknown:"word"',
        "refund status:open",
        "status:open priority:medium",
        "assigned:nobody refund",
        "after:2020 refund",
        "before:2999-12-31 refund",
        "after:2024-13 refund 2024",
        'refund "" -- "',
        "strasse",
    ],
)
def test_it_finds(desk, text):
    wanted = desk.ticket(
        "It was paid twice, I want a refund: order #4711. See unknown:word, after:2024-13. STRASSE",
        subject="An invoice",
        email="zoe@example.com",
        name="Zoë Müller",
    )
    desk.say(wanted, "The refund of the invoice 2024 that was paid twice, unknown word, after 2024 13, strasse #4711")
    desk.change(desk.ticket(email="jane@example.org"), status="solved")
    assert desk.find(text) == [wanted]


@pytest.mark.parametrize(
    "text",
    [
        "refunds",
        "efund",
        '"twice paid"',
        '"refu"',
        "from:refund",
        "status:closed refund",
        "status:nonsense refund",
        "priority:urgent",
        "tag:billing refund",
        "assigned:me refund",
        "before:2020 refund",
        "after:2999 refund",
        "--",
        "🎉",
        "w1",
        '"',
        "",
        "  ",
    ],
)
def test_it_does_not_find(desk, text):
    desk.ticket("It was paid twice, I want a refund 🎉")
    assert desk.find(text) == []


SYNTAX = ['"', '""', "'", "a OR", "NOT", "NEAR(a b)", "{x} : y", "subject:", "a*", "(", "^a", "-a", "%_", "a\0b"]
HALF_TYPED = ["from:", 'from:"', "status:", "tag:", "before:x", "before:9999-99-99", "after:0000"]
ODD = ["a" * 9000, "w " * 5000, "\0", "\ud800", "\u0131 \u0130 \u017f"]


@pytest.mark.parametrize("text", SYNTAX + HALF_TYPED + ODD)
def test_anything_typed_is_a_search(desk, text):
    desk.ticket("a OR b NEAR c")
    desk.find(text)


@pytest.mark.parametrize(
    "text", ["退款", "款申", "申请", "我的退款", "東京", "환불", "요청", "เงิน", "คืนเงิน", "হিন্দি", "退款 iPhone15"]
)
def test_it_finds_parts_of_what_is_written_without_blanks(desk, text):
    wanted = desk.ticket("我的退款申请 東京都 환불요청 ขอคืนเงินด้วย হিন্দি 退款iPhone15手机")
    desk.ticket("款退 京東 불환 งเิน")
    assert desk.find(text) == [wanted]


def test_filters_go_by_what_the_ticket_is_now(desk):
    ann = desk_user(desk, "Ann")
    ticket = desk.ticket("refund")
    desk.change(ticket, status="pending", priority="high", assignedTo=ann.id)
    desk.load(id="tkt_9", tags=["Billing", "VIP"], status="closed", assignedTo="Somebody else", subject="refund")
    assert desk.find("status:pending") == [ticket]
    assert desk.find("status:pending status:closed refund") == ["tkt_9", ticket]
    assert desk.find("priority:high") == [ticket]
    assert desk.find("assigned:ann") == desk.find("assigned:ann@example.com") == [ticket]
    assert desk.find(f"assigned:{ann.id}") == [ticket]
    assert desk.find("assigned:me", ann.caller) == [ticket]
    assert desk.find("assigned:nobody") == []
    assert desk.find('assigned:"somebody else"') == ["tkt_9"]
    assert desk.find("tag:billing tag:vip") == ["tkt_9"]
    assert desk.find("tag:billing tag:other") == []


def desk_user(desk, name):
    with desk.database.write() as tx:
        return people.create(tx, people.NewUser(email=f"{name.lower()}@example.com", name=name))


def test_days_begin_at_midnight_and_months_and_years_at_their_first_day(desk):
    for day in ("2024-01-31T23:59:59Z", "2024-02-01T00:00:00Z", "2025-01-01T00:00:00Z"):
        desk.load(id=f"tkt_{day[:10]}", createdAt=day)
    assert desk.find("before:2024-02-01") == ["tkt_2024-01-31"]
    assert desk.find("before:2024-2") == ["tkt_2024-01-31"]
    assert desk.find("after:2024-02-01 before:2025") == ["tkt_2024-02-01"]
    for day in ("2026-01-01", "2020-01-01", "2025-06-01"):  # each taken in by itself
        desk.load(id=f"tkt_{day}", createdAt=f"{day}T00:00:00Z")
        assert desk.find("after:2025-12") == ["tkt_2026-01-01"]
        assert desk.find("before:2024-2")[-1] == "tkt_2024-01-31"
    assert desk.find("before:2021") == ["tkt_2020-01-01"]


def test_the_newest_match_comes_first_and_every_ticket_once(desk):
    made = [desk.ticket(f"refund {number}") for number in range(7)]
    desk.say(made[2], "another refund")
    desk.say(made[2], "and another refund")
    desk.say(made[0], "no more")
    expected = [made[2], *reversed(made[3:]), made[1], made[0]]
    assert desk.find("refund") == expected
    for size in (1, 2, 3, 7):
        paged = list(desk.pages("refund", limit=size))
        assert [ticket for page in paged for ticket in page] == expected
        assert max(map(len, paged)) == size
    assert [ticket for page in desk.pages("status:open", limit=2) for ticket in page] == [made[0], *expected[:-1]]


def test_a_message_is_found_at_once_and_its_ticket_by_it(desk):
    ticket = desk.ticket()
    assert desk.find("thunderstorm") == []
    desk.say(ticket, "There was a thunderstorm.")
    assert desk.find("thunderstorm") == [ticket]


@pytest.mark.parametrize("few", [1, 1000])
def test_filters_that_leave_few_tickets_and_those_that_leave_many_find_the_same(desk, monkeypatch, few):
    monkeypatch.setattr("keva.search.statement.FEW", few)
    for room in ("statement", "find"):
        monkeypatch.setattr(f"keva.search.{room}.ROWS", 2)
    monkeypatch.setattr(tables, "BLOCK", 2)
    days = ["2024-03-01", "2023-01-01", "2024-02-01", "2025-01-01", "2023-05-01"]
    fields = {"status": "pending", "priority": "urgent", "tags": ["Rare", "b"], "assignedTo": "Ann"}
    for number, day in enumerate(days):
        said = [{"body": f"refund {place}"} for place in range(3)]
        desk.load(id=f"tkt_{number}", createdAt=f"{day}T00:00:00Z", messages=said, **fields)
        desk.load(id=f"tkt_other{number}", tags=["common"])
    marked = [f"tkt_{number}" for number in (4, 3, 2, 1, 0)]
    for filters in (
        "status:pending",
        "priority:urgent",
        "priority:high priority:urgent",
        "tag:rare tag:b",
        "assigned:ann",
    ):
        for words in ("", " refu", " refund 1"):
            assert desk.find(filters + words) == marked
            assert [ticket for page in desk.pages(filters + words, limit=2) for ticket in page] == marked
        assert desk.find(f"{filters} after:2024 before:2024-03") == ["tkt_2"]
        assert desk.find(f"refund {filters} before:2023-02") == ["tkt_1"]
        assert desk.find(f"{filters} tag:common") == desk.find(f"{filters} before:2023") == []
    assert set(desk.find("before:2024")) == {"tkt_1", "tkt_4"}
    assert desk.find("tag:rare assigned:nobody") == desk.find("assigned:nobody priority:urgent") == []


def test_who_reaches_one_workspace_never_finds_another_ones(desk):
    with desk.database.write() as tx:
        other = workspaces.create(tx, "Sales")["id"]
    here = Caller(None, SCOPES, 1)
    with desk.database.read() as reader:
        there = EVERYTHING.within(reader, other)
    first, second = desk.ticket("refund", caller=here), desk.ticket("refund", caller=there)
    for text in ("refund", "from:jane", "status:open", "w1 refund", "workspace:w1", "w2"):
        assert set(desk.find(text, here)) <= {first}
        assert set(desk.find(text, there)) <= {second}
    assert desk.find("refund", here) == [first]
    assert desk.find("refund", there) == [second]
    assert desk.find("refund") == [second, first]
    assert of_customer(desk.index, there, "jane@example.com", 9) == of_customer(
        desk.index, EVERYTHING, "jane@example.com", 1
    )


def test_a_customers_tickets_are_found_by_the_email_alone(desk):
    mine = [desk.ticket(email="jane@example.com"), desk.ticket(email="Jane@Example.com")]
    desk.ticket(email="mary.jane@example.com")
    other = desk.ticket(email="joe@example.com")
    desk.say(other, "Ask jane@example.com", email="jane@example.com")
    found = of_customer(desk.index, EVERYTHING, "jane@example.com", 5)
    assert desk.ids(found) == mine[::-1]


# The file


def path_of(desk):
    return desk.database.path.with_name("keva.db-search")


def reopened(desk):
    desk.index.close()
    desk.index = SearchIndex(desk.database.path)
    return desk


def test_it_has_the_databases_rights_and_is_kept(desk, monkeypatch):
    ticket = desk.ticket("refund")
    assert desk.find("refund") == [ticket]
    assert stat.S_IMODE(path_of(desk).stat().st_mode) == 0o600
    reopened(desk)
    monkeypatch.setattr(SearchIndex, "_remove", None)
    assert desk.find("refund") == [ticket]


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"SQLite format 3\0" + b"\xff" * 5000])
def test_it_is_made_anew_when_it_is_missing_or_damaged(desk, damage):
    ticket = desk.ticket("refund")
    desk.find("refund")
    desk.index.close()
    path_of(desk).write_bytes(damage) if damage else path_of(desk).unlink()
    assert reopened(desk).find("refund") == [ticket]


def test_it_is_made_anew_for_another_database_and_for_an_older_backup(desk, tmp_path):
    desk.ticket("refund")
    backups.backup(desk.database.path, tmp_path / "backup.db")
    desk.ticket("payment")
    desk.find("refund")
    desk.close()
    backups.restore(desk.database.path, tmp_path / "backup.db")
    desk.__init__(desk.database.path)
    ticket = desk.ticket("delivery")
    assert desk.find("payment") == []
    assert desk.find("delivery") == [ticket]

    other = Desk(tmp_path / "other.db")
    ticket = other.ticket("refund")
    desk.index.close()
    path_of(desk).rename(tmp_path / "other.db-search")
    assert other.find("delivery") == []
    assert other.find("refund") == [ticket]
    other.close()


def test_backups_check_and_restore_know_nothing_of_it(desk, tmp_path):
    desk.ticket("refund")
    desk.find("refund")
    path_of(desk).write_bytes(b"nonsense")
    backups.backup(desk.database.path, tmp_path / "backup.db")
    assert backups.check(desk.database.path) == []
    with sqlite3.connect(tmp_path / "backup.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE '%words%'").fetchall() == []
    connection.close()


def test_what_it_has_not_come_to_yet_is_taken_in_meanwhile(desk, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 10)
    made = [desk.ticket(f"refund {number}") for number in range(95)]
    assert 0 < desk.index.catch_up(0) < 0.2
    desk.index.fill_in_background()
    desk.index._filling.join(20)
    assert desk.index.catch_up(0) == 1
    assert desk.find("refund") == made[::-1]


def test_it_reads_one_table_of_words_after_the_other(desk, monkeypatch):
    monkeypatch.setattr(tables, "PART", 3)
    monkeypatch.setattr("keva.search.statement.PART", 3)
    made = [desk.ticket(f"refund {number}") for number in range(11)]
    desk.say(made[0], "refund")
    expected = [made[0], *made[:0:-1]]
    assert desk.find("refund") == expected
    for size in (1, 2, 4):
        assert [ticket for page in desk.pages("refu", limit=size) for ticket in page] == expected
    assert desk.find("refund 7") == [made[7]]


def test_several_may_search_at_once_while_messages_come(desk):
    made = [desk.ticket("refund") for _ in range(30)]
    found = []

    def search():
        found.extend(len(desk.find("refund")) for _ in range(5))

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    made += [desk.ticket("refund") for _ in range(30)]
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert min(found) >= 30
    assert len(desk.find("refund")) == 60


def test_without_fts5_the_search_says_so(desk, monkeypatch):
    monkeypatch.setattr(tables, "_WORDS", tables._WORDS.replace("fts5", "fts5_of_another_build"))
    with pytest.raises(IndexMissing, match="SQLite with FTS5"):
        desk.find("refund")


def test_a_folder_that_takes_no_index_is_told_of(desk, monkeypatch):
    path_of(desk).mkdir()
    with pytest.raises(IndexMissing, match=r"keva\.db-search"):
        desk.find("refund")


def test_a_search_that_takes_too_long_is_ended(desk, monkeypatch):
    monkeypatch.setattr("keva.search.find.LONGEST", -1.0)
    monkeypatch.setattr("keva.search.find._STEPS", 1)
    desk.ticket("refund")
    found = find(desk.index, desk.database, EVERYTHING, parse("refund"))
    assert found.cut
    assert found.messages == []


def test_a_desk_for_tests_that_was_emptied_finds_nothing_of_before(tmp_path):
    database = Database(tmp_path / "keva.db", identity.Counted(), for_tests=True)
    index = SearchIndex(database.path)
    database.companions.append(index)
    empty = database.image()
    with database.write() as tx:
        new = {"subject": "It broke", "customerEmail": "jane@example.com", "body": "refund"}
        tickets.create(tx, EVERYTHING, NewTicket.model_validate(new))
    assert len(find(index, database, EVERYTHING, parse("refund")).messages) == 1
    database.put_back(empty)
    assert find(index, database, EVERYTHING, parse("refund")).messages == []
    database.close()
