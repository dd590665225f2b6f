"""Tickets in and out as JSON lines."""

import io
import json
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from keva import identity
from keva.errors import Invalid
from keva.storage import schema
from keva.storage.database import Database
from keva.transfer import exporter, importer, samples
from keva.transfer.importer import TicketImporter
from keva.transfer.records import TicketRecord

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
        return subprocess.run(
            [sys.executable, APP, *arguments], cwd=tmp_path, input=sent, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def served(tmp_path):
    """Starts a server on the folder's database and gives a client of it."""
    processes = []

    def serve(db="keva.db"):
        command = [sys.executable, APP, "--port", "0", "--db", tmp_path / db, "--api-key", "keva_live_transfer"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        processes.append(process)
        origin = re.search(r"http://\S+", process.stdout.readline())[0]
        return httpx.Client(base_url=origin, headers={"Authorization": "Bearer keva_live_transfer"}, timeout=10)

    yield serve
    for process in processes:
        process.terminate()
        process.communicate(timeout=10)


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
        ({"colour": "red"}, "colour is not a field"),
        ({"status": "new"}, "status must be 'open'"),
        ({"messages": []}, "messages must hold at least 1"),
        ({"messages": [{"body": "a"}, {"body": ""}]}, "messages.1.body must not be blank"),
        ({"messages": [{"body": "a", "direction": "outbound"}]}, "senderEmail"),
        ({"messages": [{"body": "a", "ticketId": "tkt_other"}]}, "ticketId"),
        ({"createdAt": "2024-02-30T00:00:00Z"}, "createdAt must be a time"),
        ({"createdAt": "2024-01-15"}, "createdAt must be a time"),
        ({"id": "ticket_1"}, "id must be tkt_ and then"),
        ({"tags": "login"}, "tags must be a list"),
        ({"tags": [1]}, "tags.0 must be text"),
        ({"id": "tkt_seed1"}, "id tkt_seed1 is there already"),
        ({"messages": [{"body": "a", "id": "msg_seed1a"}]}, "messages.0.id msg_seed1a is there already"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ("\0", "not JSON"),
        ("\ufeff\ufeff{}", "begins with a byte order mark"),
    ],
)
def test_a_bad_line_stops_it_all_and_is_named_with_its_field(database, line, told):
    wrong = line if isinstance(line, str) else json.dumps(LINE | line)
    lines = [json.dumps(LINE), json.dumps(LINE), wrong, json.dumps(LINE)]

    with pytest.raises(Invalid, match=r"^Line 3: ") as refused:
        importer.import_tickets(database, io.BytesIO("\n".join(lines).encode()), lambda _: None)

    assert told in str(refused.value)
    with database.read() as reader:
        assert reader.all("SELECT id FROM tickets") == [("tkt_seed1",)]


def test_byte_order_marks_and_blank_lines_mean_nothing(database):
    line = json.dumps(LINE)
    text = f"\ufeff{line}\r\n\r\n\ufeff{line}\n \t\n{line}\n\n\r\n\ufeff\n"
    assert importer.import_tickets(database, io.BytesIO(text.encode()), lambda _: None) == 3

    with pytest.raises(Invalid, match=r"^Line 3: subject must not be blank"):
        importer.import_tickets(database, io.BytesIO(b"\n\n" + b'{"subject": ""}'), lambda _: None)


def test_a_bad_line_is_one_sentence_on_standard_error(cli):
    done = cli("import", "-", lines=[LINE, LINE | {"subject": ""}])

    assert done.returncode == 1
    assert done.stderr == "Error: Line 2: subject must not be blank. Nothing was imported.\n"
    assert cli("export", "-").stdout == ""


def test_what_was_imported_is_counted_and_so_is_what_comes_after(database):
    lines = [json.dumps(LINE | {"status": status, "workspaceId": "ws_second"}) for status in ("open", "closed", "open")]
    importer.import_tickets(database, io.BytesIO("\n".join(lines).encode()), lambda _: None)
    with pytest.raises(Invalid):
        importer.import_tickets(database, io.BytesIO(b"{}"), lambda _: None)
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


def test_an_id_that_stands_twice_in_the_file_stops_it_all(cli):
    done = cli("import", "-", lines=[LINE | {"id": "tkt_1"}, LINE | {"id": "tkt_1"}])
    assert "Line 2: id tkt_1 is there already" in done.stderr


def test_seeds_are_always_the_same(cli):
    cli("seed", "50")
    cli("seed", "50", "--db", "other.db")

    def tickets(db):
        return re.sub(r'"workspaceId":"\w+"', "", cli("export", "-", "--db", db).stdout)

    assert tickets("keva.db") == tickets("other.db")
    assert cli("seed", "60").returncode == 1


def test_a_server_answers_writes_with_503_during_an_import_and_reads_as_ever(cli, served, tmp_path):
    client = served()
    new = {"subject": "Meanwhile", "customerEmail": "customer@example.com", "body": "Hello"}
    importing = subprocess.Popen(
        [sys.executable, APP, "import", "-"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    importing.stdin.write((json.dumps(LINE) + "\n") * 5000)
    importing.stdin.flush()
    while client.post("/api/v1/tickets", json=new).status_code == 201:
        pass

    refused = client.post("/api/v1/tickets", json=new)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert client.get("/api/v1/tickets").status_code == 200
    assert client.get("/healthz").status_code == 503
    before = client.get("/api/v1/tickets").json()["pagination"]["total"]

    importing.communicate(timeout=30)
    assert client.post("/api/v1/tickets", json=new).status_code == 201
    assert client.get("/api/v1/tickets").json()["pagination"]["total"] == before + 5001
    client.close()


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
