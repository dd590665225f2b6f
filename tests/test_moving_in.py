"""docs/moving-in.md: its tables are those of the code, and each recipe makes lines that an import takes."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from keva.transfer.records import MessageRecord, TicketRecord
from keva.validation import validate
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "moving-in.md").read_text(encoding="utf-8")
RECIPES = {name: code for code, name in re.findall(r"^```python recipe\n(# (\S+)\n(?s:.*?))^```$", PAGE, re.MULTILINE)}


@pytest.mark.parametrize(("heading", "model"), [("A line", TicketRecord), ("And a message", MessageRecord)])
def test_the_fields_are_those_of_the_code(heading, model):
    table = PAGE.split(heading)[1].split("|---|---|---|\n")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))
    assert list(rows) == [field.alias for field in model.model_fields.values()]
    for field in model.model_fields.values():
        assert ("or `null`" in rows[field.alias]) == (type(None) in getattr(field.annotation, "__args__", ()))
        assert rows[field.alias].endswith(("| ", "|")) == field.is_required()


@pytest.fixture
def converted(tmp_path):
    """Runs a recipe beside the given files, and gives its lines once an import would take them."""

    def run(name, *arguments, sent="", **files):
        (tmp_path / name).write_text(RECIPES[name])
        (tmp_path / "comments").mkdir(exist_ok=True)
        for path, content in files.items():
            (tmp_path / path.replace("__", "/")).with_suffix(".json").write_text(json.dumps(content))
        command = [sys.executable, "-W", "error", name, *arguments]
        done = subprocess.run(command, cwd=tmp_path, input=sent, capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        for line in lines:
            validate(TicketRecord, line)
        return lines

    return run


def test_zendesk(converted):
    page = {
        "tickets": [
            {
                "id": 35436,
                "subject": "Help, my printer is on fire!",
                "description": "The fire is very colorful.",
                "status": "hold",
                "priority": "normal",
                "requester_id": 1,
                "assignee_id": 2,
                "via": {"channel": "web"},
                "tags": ["enterprise"],
                "created_at": "2009-07-20T22:55:29Z",
                "updated_at": "2011-05-05T10:38:52Z",
            },
        ],
        "users": [
            {"id": 1, "name": "Jane", "email": None, "role": "end-user"},
            {"id": 2, "name": "Ann", "email": "ann@example.com", "role": "agent"},
        ],
    }
    gone = page["tickets"][0] | {"id": 35437, "status": "deleted", "priority": None, "assignee_id": None}
    quiet = gone | {"id": 35435, "status": "new", "subject": None}
    comment = {"plain_body": "Hi", "html_body": "<p>Hi</p>", "public": True, "created_at": "2009-07-20T22:55:29Z"}
    comments = [comment | {"id": 7, "author_id": 1}, comment | {"id": 8, "author_id": 2, "plain_body": " "}]
    notes = [comment | {"id": 9, "author_id": 2, "public": False}]

    quiet_line, line = converted(
        "zendesk.py",
        "tickets.json",
        tickets=page | {"tickets": [*page["tickets"], gone, quiet]},
        comments__35436={"comments": comments + notes},
        comments__35435={"comments": notes},
    )

    assert (line["id"], line["status"], line["priority"], line["assignedTo"]) == (
        *("tkt_35436", "pending", "medium", "ann@example.com"),
    )
    assert line["customerEmail"] == "user-1@zendesk.invalid"
    assert [(one["direction"], one["body"]) for one in line["messages"]] == [
        *(("inbound", "Hi"), ("outbound", "(no text)")),
    ]
    assert quiet_line["messages"] == [{"body": "The fire is very colorful."}]


def test_freescout(converted):
    jane = {"id": 75, "type": "customer", "firstName": "Jane", "lastName": "", "email": "jane@example.com"}
    ann = {"id": 9, "type": "user", "firstName": "Ann", "lastName": "Lee", "email": "ann@example.com"}
    thread = {"id": 1, "type": "customer", "createdBy": jane, "body": "<p>I&amp;you<br>and<b> me</b></p>", "state": ""}
    thread |= {"createdAt": "2020-03-16T14:07:23Z"}
    answer = thread | {"id": 2, "type": "message", "createdBy": ann, "createdAt": "2020-03-17T14:07:23Z"}
    note, change = answer | {"id": 3, "type": "note"}, answer | {"id": 4, "type": "lineitem", "body": None}
    conversation = {
        "id": 1,
        "number": 3,
        "type": "email",
        "status": "active",
        "state": "published",
        "subject": "Refund",
        "preview": "Could you",
        "customer": jane,
        "assignee": None,
        "createdAt": "2020-03-15T22:46:22Z",
        "updatedAt": None,
        "_embedded": {"threads": [change, note, answer, thread]},
    }
    draft = conversation | {"number": 4, "state": "draft"}
    called = conversation | {"number": 5, "customer": jane | {"email": None}, "createdAt": "2020-03-16T22:46:22Z"}
    called |= {"_embedded": {"threads": [thread | {"id": 5, "createdBy": None}]}}
    page = {"_embedded": {"conversations": [draft, called, conversation]}}

    [line, without] = converted("freescout.py", "page.json", page=page)

    assert without["customerEmail"] == "person-75@freescout.invalid"
    assert (line["id"], line["customerName"], line["updatedAt"]) == ("tkt_3", "Jane", "2020-03-15T22:46:22Z")
    assert [(one["id"], one["direction"], one["senderName"]) for one in line["messages"]] == [
        *(("msg_1", "inbound", "Jane"), ("msg_2", "outbound", "Ann Lee")),
    ]
    assert line["messages"][0]["body"] == "I&you\nand me"


OSTICKET = """
CREATE TABLE ost_ticket (ticket_id, number, user_id, status_id, staff_id, source, created, updated);
CREATE TABLE ost_thread (id, object_id, object_type);
CREATE TABLE ost_thread_entry (id, thread_id, staff_id, type, poster, body, format, created);
CREATE TABLE ost_user (id, default_email_id, name);
CREATE TABLE ost_user_email (id, user_id, address);
CREATE TABLE ost_ticket_status (id, name, state);
CREATE TABLE ost_ticket__cdata (ticket_id, subject, priority);
CREATE TABLE ost_ticket_priority (priority_id, priority);
CREATE TABLE ost_staff (staff_id, email);
INSERT INTO ost_ticket VALUES (1, '345678', 5, 3, 8, 'Web', '2024-01-15 10:30:00', '2024-01-16 10:30:00');
INSERT INTO ost_thread VALUES (20, 1, 'T'), (21, 1, 'A');
INSERT INTO ost_thread_entry VALUES
  (30, 20, 0, 'M', 'Jane', '<p>It broke</p>', 'html', '2024-01-15 10:30:00'),
  (31, 20, 8, 'N', 'Ann', 'a note', 'text', '2024-01-15 11:30:00'),
  (32, 20, 8, 'R', 'Ann', 'Mended', 'text', '2024-01-15 12:30:00'),
  (33, 20, 9, 'R', '', '', 'html', '2024-01-15 13:30:00'),
  (34, 21, 0, 'M', 'Task', 'no ticket', 'text', '2024-01-15 10:30:00');
INSERT INTO ost_user VALUES (5, 6, 'Jane');
INSERT INTO ost_user_email VALUES (6, 5, 'jane@example.com');
INSERT INTO ost_ticket_status VALUES (3, 'Closed', 'closed');
INSERT INTO ost_ticket__cdata VALUES (1, 'Printer', 2);
INSERT INTO ost_ticket_priority VALUES (2, 'high');
INSERT INTO ost_staff VALUES (8, 'ann@example.com');
"""


def test_osticket(converted, tmp_path):
    (tmp_path / "osticket.py").write_text(RECIPES["osticket.py"])
    command = [sys.executable, "osticket.py", "sql"]
    sql = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    with closing(sqlite3.connect(":memory:")) as connection:  # which has JSON_OBJECT too
        connection.create_function("CONVERT_TZ", 3, lambda time, *_: time)
        connection.create_function("DATE_FORMAT", 2, lambda time, _: time.replace(" ", "T") + "Z")
        connection.executescript(OSTICKET)
        entries = "".join(row + "\n" for (row,) in connection.execute(sql))

    [line] = converted("osticket.py", sent=entries)

    assert (line["id"], line["subject"], line["status"], line["priority"], line["assignedTo"]) == (
        *("tkt_345678", "Printer", "closed", "high", "ann@example.com"),
    )
    assert [(one["direction"], one["senderEmail"], one["body"]) for one in line["messages"]] == [
        ("inbound", "jane@example.com", "It broke"),
        ("outbound", "ann@example.com", "Mended"),
        ("outbound", "support@example.com", "(no text)"),
    ]


def test_a_csv(converted):
    sent = "\ufeffTicket,Status,Subject,Email,Name,Description,Created\r\n"
    sent += '17,Waiting,"Help, please",jane@example.com,,"It broke\r\ntwice",2024-01-15 10:30\r\n'
    [line] = converted("tickets_of_csv.py", sent=sent)
    assert (line["id"], line["subject"], line["status"]) == ("tkt_17", "Help, please", "pending")
    assert line["createdAt"] == "2024-01-15T10:30:00+00:00"
    assert line["messages"] == [{"id": "msg_17", "body": "It broke\r\ntwice"}]
    assert "customerName" not in line


def test_every_recipe_is_tested():
    assert RECIPES.keys() == {"zendesk.py", "freescout.py", "osticket.py", "tickets_of_csv.py"}
