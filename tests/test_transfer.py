"""Tickets in and out as JSON lines."""

import io
import json
import re
import sqlite3
import threading
import tracemalloc
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from keva import identity
from keva.errors import Unavailable
from keva.storage import schema
from keva.storage.database import Database
from keva.transfer import exporter, reading, samples
from keva.transfer.findings import ImportRefused
from keva.transfer.importer import TicketImporter
from keva.transfer.importing import Import
from keva.transfer.records import TicketRecord
from keva.transfer.spool import Spool
from tests import commands
from tests.imports import imported

APP = Path(__file__).parents[1] / "app.py"
LINE = {"subject": "It broke", "customerEmail": "customer@example.com", "messages": [{"body": "It really did."}]}
EVERYTHING = {
    "id": "tkt_kept-As_1s",
    "subject": " Ünïcode 🎉\r\nkept ",
    "status": "solved",
    "priority": "urgent",
    "customerEmail": "customer@example.com",
    "customerName": "Jane Smith",
    "source": "email",
    "assignedTo": "user_1",
    "resolutionType": "answered",
    "tags": ["login", "é"],
    "createdAt": "2024-01-15T10:30:00Z",
    "updatedAt": "2024-02-29T00:00:00Z",
    "messages": [
        {
            "id": "msg_001",
            "ticketId": "tkt_kept-As_1s",
            "direction": "inbound",
            "senderEmail": "customer@example.com",
            "senderName": "Jane Smith",
            "body": "I need help with my order",
            "createdAt": "2024-01-15T10:30:00Z",
        },
        {
            "id": "msg_002",
            "ticketId": "tkt_kept-As_1s",
            "direction": "outbound",
            "senderEmail": "support@company.com",
            "body": "Happy to help!",
            "bodyHtml": "<p>Happy to help!</p>",
            "createdAt": "2024-01-15T10:31:00Z",
        },
    ],
    "workspaceId": "ws_second",
}


@pytest.fixture
def database(tmp_path):
    """A desk with one ticket, tkt_seed1, and its message msg_seed1a."""
    database = Database(tmp_path / "desk.db", identity.mint)
    with database.write() as tx:
        TicketImporter(tx).store(next(samples.records(1)))
    yield database
    database.close()


@pytest.fixture
def cli(tmp_path):
    """Runs a command in an empty folder."""

    def run(*arguments, lines=()):
        sent = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        return commands.run(*arguments, sent=sent, cwd=tmp_path)

    return run


@pytest.fixture
def served(tmp_path):
    """Starts a server on the folder's database and gives a client of it."""
    processes = []

    def serve(db="keva.db"):
        words = ["--port", "0", "--db", tmp_path / db, "--api-key", "keva_live_transfer"]
        processes.append(process := commands.Command(*words, stdout=commands.PIPE))
        origin = re.search(r"http://\S+", process.stdout.readline())[0]
        return httpx.Client(base_url=origin, headers={"Authorization": "Bearer keva_live_transfer"}, timeout=10)

    yield serve
    for process in processes:
        process.terminate()
        process.wait(10)
        process.close()


def test_what_is_given_is_kept_and_what_is_missing_is_as_a_create_has_it(cli, served):
    assert cli("import", "-", lines=[EVERYTHING, LINE]).stdout == "Imported 2 tickets into keva.db.\n"

    with served() as client:
        new, kept = client.get("/api/v1/tickets").json()["data"]
        assert kept == {name: EVERYTHING[name] for name in kept}
        assert client.get(f"/api/v1/tickets/{kept['id']}/messages").json()["data"] == EVERYTHING["messages"]
        assert client.get("/api/v1/tickets?workspace_id=ws_second").json()["data"] == [kept]
        assert (new["status"], new["priority"], new["source"], new["tags"]) == ("open", "medium", "api", [])
        [message] = client.get(f"/api/v1/tickets/{new['id']}/messages").json()["data"]
        assert (message["direction"], message["senderEmail"]) == ("inbound", "customer@example.com")
        assert message["createdAt"] == new["createdAt"] == new["updatedAt"]


def test_null_is_taken_where_an_answer_shows_it(cli):
    nulls = {"customerName": None, "assignedTo": None, "resolutionType": None}
    nulls["messages"] = [{"body": "a", "bodyHtml": None, "senderName": None}]
    assert cli("import", "-", lines=[LINE | nulls]).returncode == 0
    assert "source must not be null" in cli("import", "-", lines=[LINE | {"source": None}]).stderr


def test_an_export_imported_into_an_empty_file_gives_the_same_answers(cli, served):
    cli("seed", "250")
    cli("import", "-", lines=[EVERYTHING])
    exported = cli("export", "-").stdout
    assert cli("export", "tickets.jsonl").stdout == "Exported 251 tickets to tickets.jsonl.\n"
    cli("import", "tickets.jsonl", "--db", "copy.db")

    with served() as one, served("copy.db") as other:
        ids = [json.loads(line)["id"] for line in exported.splitlines()]
        paths = [f"/api/v1/tickets?per_page=100&page={page}" for page in range(1, 5)]
        paths += [f"/api/v1/tickets?status={status}&per_page=7" for status in ("open", "pending", "solved", "closed")]
        paths += [f"/api/v1/tickets/{ticket}{more}" for ticket in ids[::10] for more in ("", "/messages")]
        for path in paths:
            assert one.get(path).content == other.get(path).content
    assert cli("export", "-", "--db", "copy.db").stdout.splitlines()[-1] == exported.splitlines()[-1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"subject": ""}, "subject must not be blank"),
        ({"colour": "red"}, "colour is not a field of a ticket"),
        ({"status": "new"}, "status must be 'open'"),
        ({"messages": []}, "messages must hold at least 1"),
        ({"messages": [{"body": "a"}, {"body": ""}]}, "messages.1.body must not be blank"),
        ({"messages": [{"body": "a", "direction": "outbound"}]}, "senderEmail"),
        ({"messages": [{"body": "a", "ticketId": "tkt_other"}]}, "ticketId"),
        ({"createdAt": "2024-02-30T00:00:00Z"}, "createdAt must be a time"),
        ({"createdAt": "2024-01-15"}, "createdAt must be a time"),
        ({"createdAt": "2024-01-15T10:30:00"}, "createdAt must be a time with Z or an offset"),
        ({"createdAt": "9999-12-31T23:59:59-01:00"}, "createdAt must be a time that there is"),
        ({"id": "ticket_1"}, "id must be tkt_ and then"),
        ({"tags": "login"}, "tags must be a list"),
        ({"tags": [1]}, "tags.0 must be text"),
        ({"id": "tkt_seed1"}, "id tkt_seed1 is there already"),
        ({"messages": [{"body": "a", "id": "msg_seed1a"}]}, "messages.0.id msg_seed1a is there already"),
        (
            {"messages": [{"body": "a", "colour": "red"}]},
            "messages.0.colour is not a field of a message, which takes id, ",
        ),
        (
            {"messages": [{"body": "a", "subject": "b"}]},
            "messages.0.subject is not a field of a message, which takes id, ",
        ),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ("\0", "not JSON"),
        ("\ufeff\ufeff{}", "begins with a byte order mark"),
    ],
)
def test_a_bad_line_stops_it_all_and_is_named_with_its_field(database, line, told):
    wrong = line if isinstance(line, str) else json.dumps(LINE | line)
    lines = [json.dumps(LINE), json.dumps(LINE), wrong, json.dumps(LINE)]

    with pytest.raises(ImportRefused, match=r"^1 line is wrong\. Nothing was imported\.$") as refused:
        imported(database, "\n".join(lines).encode())

    [sentence] = refused.value.lines
    assert sentence.startswith("Line 3: ")
    assert told in sentence
    with database.read() as reader:
        assert reader.all("SELECT id FROM tickets") == [("tkt_seed1",)]


def test_byte_order_marks_and_blank_lines_mean_nothing(database):
    line = json.dumps(LINE)
    text = f"\ufeff{line}\r\n\r\n\ufeff{line}\n \t\n{line}\n\n\r\n\ufeff\n"
    assert imported(database, text.encode()).tickets == 3

    with pytest.raises(ImportRefused) as refused:
        imported(database, b"\n\n" + b'{"subject": ""}')
    assert refused.value.lines[0].startswith("Line 3: subject must not be blank")


def test_a_bad_line_is_told_on_standard_error(cli):
    done = cli("import", "-", lines=[LINE, LINE | {"subject": ""}])

    assert done.returncode == 1
    assert done.stderr == "Line 2: subject must not be blank.\nError: 1 line is wrong. Nothing was imported.\n"


def test_what_was_imported_is_counted_and_so_is_what_comes_after(database):
    lines = [json.dumps(LINE | {"status": status, "workspaceId": "ws_second"}) for status in ("open", "closed", "open")]
    imported(database, "\n".join(lines).encode())
    with pytest.raises(ImportRefused):
        imported(database, b"{}")
    with database.write() as tx:
        TicketImporter(tx).store(TicketRecord.model_validate(LINE))

    with database.read() as reader:
        counted = reader.all("SELECT status, tickets FROM ticket_counts WHERE workspace = 0 AND block = -1")
    assert dict(counted) == {"open": 4, "closed": 1}
    with sqlite3.connect(database.path) as connection:
        assert schema.problems_of(connection) == []
    connection.close()


@pytest.mark.parametrize("name", ["keva.db", "other.db", "notes.txt", "keva.db-lock"])
def test_an_export_replaces_an_older_one_and_nothing_else(cli, tmp_path, name):
    cli("seed", "2")
    cli("seed", "2", "--db", "other.db")
    (tmp_path / "notes.txt").write_text("Dear diary")
    before = (tmp_path / name).read_bytes()

    done = cli("export", name)

    assert (done.returncode, "is no export of tickets" in done.stderr) == (1, True)
    assert (tmp_path / name).read_bytes() == before
    assert cli("export", "out.jsonl").returncode == cli("export", "out.jsonl").returncode == 0


def test_all_that_is_wrong_is_told_at_once_the_first_lines_whole_and_the_rest_by_kind(database):
    clash, both = LINE | {"id": "tkt_seed1"}, LINE | {"subject": "", "messages": [{"body": "a"}, {"body": ""}]}
    rest = [both] * 40 + [LINE | {"tags": "x"}] * 20 + [LINE] + [clash] * 2

    with pytest.raises(ImportRefused, match=r"^64 lines are wrong\.") as refused:
        whole(database, [clash, *[LINE | {"status": "new"}], *rest])

    told = refused.value.lines
    assert told[0] == "Line 2: status must be 'open', 'pending', 'solved' or 'closed'."
    assert told[1] == "Line 3: subject must not be blank; messages.1.body must not be blank."
    assert [line for line in told if line.startswith("Line ")] == told[:50]
    assert told[50:] == ["And 14 more:", "  11 times: tags must be a list", "  3 times: id is there already"]


def whole(database, records, **options):
    """Reads and compares all, as `--check` does."""
    with closing(Spool(database.path.parent)) as spool, database.read() as reader:
        job = Import(spool, **options)
        job.read(io.BytesIO("".join(json.dumps(record) + "\n" for record in records).encode()), lambda _: None)
        job.compare(reader)
        if job.findings.count:
            raise job.findings.refusal(job.noun)
        return job


def test_kinds_without_end_are_bounded(database):
    with pytest.raises(ImportRefused) as refused:
        whole(database, [LINE | {f"field{number}": 1} for number in range(1000)])
    assert len(refused.value.lines) == 50 + 1 + 101
    assert refused.value.lines[51] == "  850 times: something else"


def test_a_check_stores_nothing_and_makes_no_file(cli, tmp_path):
    good, wrong = [LINE | {"id": "tkt_1"}], [LINE, LINE | {"subject": ""}]
    done = cli("import", "-", "--check", lines=good)
    assert (done.returncode, done.stdout) == (0, "1 tickets can be imported into keva.db.\n")
    done = cli("import", "-", "--check", lines=wrong)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "Line 2: subject must not be blank.")
    assert list(tmp_path.iterdir()) == []

    cli("import", "-", lines=good)
    before = (tmp_path / "keva.db").read_bytes()
    done = cli("import", "-", "--check", lines=good)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "Line 1: id tkt_1 is there already.")
    assert (tmp_path / "keva.db").read_bytes() == before


def test_a_failed_import_leaves_no_new_database(cli, tmp_path):
    for lines in ([LINE, "{"], [LINE | {"id": "tkt_1"}] * 2):  # one is found before the file is made, one afterwards
        assert cli("import", "-", lines=lines).returncode == 1
        assert list(tmp_path.iterdir()) == []


def test_a_trial_import_can_be_topped_up(cli):
    old, new = LINE | {"id": "tkt_old", "messages": [{"body": "a", "id": "msg_1"}]}, LINE | {"id": "tkt_new"}
    cli("import", "-", lines=[old])
    done = cli("import", "-", "--skip-existing", "--check", lines=[old, new])
    assert done.stdout == "1 tickets can be imported into keva.db. 1 were there already, and were left out.\n"
    done = cli("import", "-", "--skip-existing", lines=[old | {"subject": "Changed"}, new])
    assert done.stdout == "Imported 1 tickets into keva.db. 1 were there already, and were left out.\n"
    assert [json.loads(line)["subject"] for line in cli("export", "-").stdout.splitlines()] == ["It broke"] * 2

    for wrong in (LINE | {"id": "tkt_2", "messages": old["messages"]}, new | {"subject": ""}):
        assert cli("import", "-", "--skip-existing", lines=[old, wrong]).returncode == 1
    twice = cli("import", "-", "--skip-existing", lines=[old, LINE | {"id": "tkt_2"}, LINE | {"id": "tkt_2"}])
    assert "Line 3: id tkt_2 stands in the file before" in twice.stderr


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-01-15T10:30:00.5+02:00", "2024-01-15T08:30:00Z"),
        ("2024-01-15 10:30:00.999999999Z", "2024-01-15T10:30:00Z"),
        ("2024-01-15t10:30:00z", "2024-01-15T10:30:00Z"),
        ("2024-01-01T00:30:00+0100", "2023-12-31T23:30:00Z"),
        ("2024-02-29T23:30:00-05:30", "2024-03-01T05:00:00Z"),
        ("0001-01-02T00:00:00Z", "0001-01-02T00:00:00Z"),
    ],
)
def test_a_time_with_an_offset_or_a_fraction_is_kept_in_utc(database, given, kept):
    line = LINE | {"createdAt": given, "updatedAt": given, "messages": [{"body": "a", "createdAt": given}]}
    imported(database, json.dumps(line).encode())
    with database.read() as reader:
        assert reader.one("SELECT created_at, updated_at FROM tickets ORDER BY seq DESC") == (kept, kept)
        assert reader.one("SELECT created_at FROM messages ORDER BY seq DESC") == (kept,)


LONG = {
    "subject": "s" * 256,
    "customerName": "n" * 300,
    "messages": [
        {"body": "b" * 100_001, "bodyHtml": "<p>" + "h" * 250_000 + "</p>", "senderName": "e" * 256},
        {"body": "short", "bodyHtml": "<p>" + "&eacute;" * 30_000},
        {"body": "short", "bodyHtml": "a" * 100_000 + '<img src="' + "x" * 100_000 + '">'},
    ],
}


def test_what_is_too_long_is_refused_or_shortened_with_a_mark(database):
    line = json.dumps(LINE | LONG).encode()
    with pytest.raises(ImportRefused) as refused:
        imported(database, line)
    assert "messages.0.body is too long: at most 100000 characters" in refused.value.lines[0]

    job = imported(database, line, truncate=True)
    [told] = job.shortened
    assert told.startswith("1: subject was shortened from 256 characters to 255; customerName was ")
    assert "; messages.0.body was shortened from 100,001 characters to 100,000; " in told
    with database.read() as reader:
        subject, name = reader.one("SELECT subject, customer_name FROM tickets ORDER BY seq DESC")
        rows = reader.all("SELECT body, body_html FROM messages WHERE ticket = 2 ORDER BY seq")
    assert (len(subject), subject[-13:], len(name)) == (255, "s [shortened]", 255)
    assert (len(rows[0][0]), rows[0][0][-13:]) == (100_000, "b [shortened]")
    assert [html[-24:] for _, html in rows] == [
        "hhhhhh<p>[shortened]</p>",
        "acute;<p>[shortened]</p>",
        "aaaaaa<p>[shortened]</p>",
    ]
    assert max(len(html) for _, html in rows) <= 200_000


def test_an_address_or_an_id_is_never_shortened(database):
    wrong = {"customerEmail": "a" * 250 + "@example.com", "id": "tkt_" + "a" * 65, "assignedTo": "u" * 65}
    with pytest.raises(ImportRefused) as refused:
        imported(database, json.dumps(LINE | wrong).encode(), truncate=True)
    assert [part.split()[0] for part in refused.value.lines[0].split(": ", 1)[1].split("; ")] == [
        "id",
        "customerEmail",
        "assignedTo",
    ]


def test_each_text_that_was_shortened_is_told(cli):
    done = cli("import", "-", "--truncate", lines=[LINE, LINE | {"subject": "s" * 300}, *[LINE | LONG] * 60])
    assert done.returncode == 0
    told = done.stderr.splitlines()
    assert told[0] == "Line 2: subject was shortened from 300 characters to 255."
    assert told[50:] == ["And 11 more were shortened."]


def test_an_id_that_stands_twice_in_the_file_stops_it_all(cli):
    done = cli("import", "-", lines=[LINE | {"id": "tkt_1"}, LINE | {"id": "tkt_1"}])
    assert "Line 2: id tkt_1 stands in the file before" in done.stderr


def test_seeds_are_always_the_same(cli):
    cli("seed", "50")
    cli("seed", "50", "--db", "other.db")

    def tickets(db):
        return re.sub(r'"workspaceId":"\w+"', "", cli("export", "-", "--db", db).stdout)

    assert tickets("keva.db") == tickets("other.db")
    again = cli("seed", "10", "--db", "other.db")
    assert "other.db holds tickets" in again.stderr
    assert "--yes" in again.stderr
    assert tickets("other.db").count("\n") == 50


def test_a_desk_that_holds_tickets_is_seeded_when_that_is_meant(cli):
    cli("import", "-", lines=[LINE])
    assert cli("seed", "3").returncode == 1
    assert cli("seed", "3", "--yes").stdout == "Made 3 tickets in keva.db.\n"
    assert len(cli("export", "-").stdout.splitlines()) == 4


def test_a_server_takes_writes_while_a_file_is_read(cli, served, tmp_path):
    client = served()
    new = {"subject": "Meanwhile", "customerEmail": "customer@example.com", "body": "Hello"}
    pipes = {"stdin": commands.PIPE, "stdout": commands.PIPE}
    with commands.Command("import", "-", cwd=tmp_path, **pipes) as importing:
        importing.stdin.write((json.dumps(LINE) + "\n") * 2000)  # more than a pipe holds, so that it reads by now
        importing.stdin.flush()
        assert client.post("/api/v1/tickets", json=new).status_code == 201
        assert client.get("/api/v1/tickets").json()["pagination"]["total"] == 1
        importing.stdin.close()
        assert importing.stdout.read() == "Imported 2000 tickets into keva.db.\n"
    assert client.get("/api/v1/tickets").json()["pagination"]["total"] == 2001
    client.close()


def test_while_it_stores_others_cannot_write_and_read_as_ever(database):
    other = Database(database.path, identity.mint)
    seen = []

    def look(*_):
        with pytest.raises(Unavailable, match="Another Keva command is writing"), other.write():
            pass
        with other.read() as reader:
            seen.append(reader.one("SELECT count(*) FROM tickets")[0])

    imported(database, (json.dumps(LINE) + "\n").encode() * 1000, look)

    assert seen == [1, 1]
    with closing(other), other.read() as reader:
        assert reader.one("SELECT count(*) FROM tickets")[0] == 1001


class TestAnArray:
    """A JSON array of tickets is read as its lines would be."""

    TEXTS = ("]", '\\"]},{', "\\\\", '"', ",", "{[", "é\U0001f389", "a" * 200)

    @pytest.mark.parametrize("chunk", [8, 9, 64, 65536])
    @pytest.mark.parametrize("indent", [None, 2])
    def test_is_cut_into_its_elements_wherever_the_pieces_end(self, monkeypatch, chunk, indent):
        monkeypatch.setattr(reading, "_CHUNK", chunk)
        given = [{text: [text, {text: []}], "next": [[], {}]} for text in self.TEXTS] + [1, "a,b]", None, [[1], [2]]]
        for ascii_only in (True, False):
            sent = "\ufeff \n " + json.dumps(given, indent=indent, ensure_ascii=ascii_only) + "\n\n"
            records = reading.Records(io.BytesIO(sent.encode()))
            assert [(number, json.loads(element)) for number, element in records] == [*enumerate(given, 1)]
            assert (records.noun, records.size) == ("Ticket", len(sent.encode()))

    def test_is_imported(self, database):
        array = [LINE, LINE | {"id": "tkt_of_an_array"}]
        assert imported(database, json.dumps(array, indent=4).encode()).tickets == 2
        assert imported(database, b" [ ] ").tickets == 0
        with database.read() as reader:
            assert reader.one("SELECT id FROM tickets ORDER BY seq DESC") == ("tkt_of_an_array",)

    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            ('[{"subject": ""}]', "Ticket 1: subject must not be blank"),
            ("[%s, 5]", "Ticket 2: The ticket is a number, not a JSON object"),
            ("[%s,]", "Ticket 2: The ticket is empty"),
            ("[%s %s]", "Ticket 1: The ticket is not JSON"),
            ("[%s, %s", "Ticket 2: The array does not end, as in a file that was cut off"),
            ('[%s, {"subject": "It', "Ticket 2: The array does not end"),
            ("[%s] [%s]", "Ticket 2: The array ends before it, and more follows"),
        ],
    )
    def test_that_is_wrong_is_told_by_ticket(self, database, sent, told):
        with pytest.raises(ImportRefused) as refused:
            imported(database, sent.replace("%s", json.dumps(LINE)).encode())
        assert refused.value.lines[0].startswith(told)

    def test_is_never_in_memory_whole(self):
        file = io.BufferedReader(io.BytesIO(b"[" + b'"%s",' % (b"x" * 97) * 20_000 + b"1]"))  # 2 MB
        tracemalloc.start()
        try:
            assert sum(1 for _ in reading.Records(file)) == 20_001
            assert tracemalloc.get_traced_memory()[1] < 500_000
        finally:
            tracemalloc.stop()


def test_an_export_is_of_one_moment(database):
    """A ticket that comes while it runs is not in it."""
    with database.write() as tx:
        importer = TicketImporter(tx)
        for line in samples.records(1501):
            if line.id != "tkt_seed1":
                importer.store(line)

    def add(*_):
        def write():
            with database.write() as tx:
                TicketImporter(tx).store(TicketRecord.model_validate(LINE))

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()

    out = io.BytesIO()
    assert exporter.export_tickets(database, out, add) == 1501
    assert len(out.getvalue().splitlines()) == 1501
    with database.read() as reader:
        assert reader.one("SELECT count(*) FROM tickets")[0] > 1501
