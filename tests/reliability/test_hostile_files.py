"""A file into which somebody put more than Keva does: refused in a sentence that names it, before any of it runs."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from keva.storage import backups, disk, objects

from .served import Server, keva, process, refused

Serve = Callable[..., Server]
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i, i, i FROM n"
HOSTILE = {
    "a trigger": (
        "CREATE TRIGGER spy AFTER INSERT ON keys BEGIN UPDATE keys SET scopes = 'tickets:read'; END",
        "holds the trigger 'spy', which is not Keva's",
    ),
    "a view in the place of a table": (
        f"PRAGMA legacy_alter_table = ON; ALTER TABLE workspaces RENAME TO w; CREATE VIEW workspaces AS {ENDLESS}",
        "holds the table 'w', which is not Keva's",
    ),
    "a view": (f"CREATE VIEW more AS {ENDLESS}", "holds the view 'more', which is not Keva's"),
    "a table": ("CREATE TABLE more (x)", "holds the table 'more', which is not Keva's"),
    "an index": ("CREATE INDEX more ON tickets (abs(seq))", "holds the index 'more', which is not Keva's"),
    "no guard": ("DROP TRIGGER tickets_cannot_be_moved", "lacks the trigger 'tickets_cannot_be_moved'"),
    "another trigger": (
        "DROP TRIGGER tickets_cannot_be_moved;"
        "CREATE TRIGGER tickets_cannot_be_moved BEFORE UPDATE OF seq, workspace ON tickets BEGIN SELECT 1; END",
        "holds a trigger 'tickets_cannot_be_moved' that is not as Keva makes it",
    ),
    "a statement hidden in what looks like a comment": (
        "DROP TRIGGER tickets_cannot_be_moved;"
        "CREATE TRIGGER tickets_cannot_be_moved BEFORE UPDATE OF seq, workspace ON tickets BEGIN "
        "SELECT raise(ABORT, 'tickets cannot be --'); DELETE FROM keys; SELECT length('\n"
        " moved: ticket_counts would be wrong'); END",
        "holds a trigger 'tickets_cannot_be_moved' that is not as Keva makes it",
    ),
    "a name that is not shown raw": ('CREATE TABLE "\x1b[2J\u202e" (x)', r"holds the table '\x1b[2J\u202e'"),
}


@pytest.fixture
def hostile(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    file = tmp_path / "hostile.backup"
    assert keva("seed", 5, "--db", file).returncode == 0
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(request.param)
        connection.execute("PRAGMA journal_mode = DELETE")
    return file


@pytest.mark.parametrize(("hostile", "told"), HOSTILE.values(), ids=HOSTILE, indirect=["hostile"])
def test_what_is_not_as_its_version_makes_it_is_refused_everywhere(hostile: Path, told: str, db: Path) -> None:
    before = hostile.read_bytes()
    for command in (
        ("check", "--db", hostile),
        ("restore", hostile, "--db", db),
        ("backup", db, "--db", hostile),
        ("keys", "create", "--db", hostile),
        ("export", db, "--db", hostile),
    ):
        assert told in refused(keva(*command)), command
    assert told in refused(process("serve", "--port", "0", "--db", hostile))
    assert hostile.read_bytes() == before
    assert not db.exists()


@pytest.mark.parametrize("hostile", ["ANALYZE"], indirect=True)
def test_statistics_are_nothing_strange(hostile: Path) -> None:
    assert backups.check(hostile) == []


_NO_TEXT = "UPDATE messages SET body = CAST(x'ff' AS TEXT) WHERE seq = 3"


@pytest.mark.parametrize("hostile", [_NO_TEXT], indirect=True)
def test_a_text_that_is_none_is_found_and_not_backed_up_or_restored(hostile: Path, db: Path) -> None:
    assert backups.check(hostile) == ["row 3 of messages holds a text that is not UTF-8"]
    assert "row 3 of messages" in refused(keva("restore", hostile, "--db", db))
    assert "row 3 of messages" in refused(keva("backup", db, "--db", hostile))
    assert not db.exists()


@pytest.mark.parametrize("hostile", [_NO_TEXT], indirect=True)
def test_a_text_that_is_none_is_told_as_what_it_is_and_the_rest_is_read(hostile: Path, serve: Serve) -> None:
    with serve(db=hostile).client() as client:
        ids = [ticket["id"] for ticket in client.ask("GET", "/api/v1/tickets").data]
        answers = [client.ask("GET", f"/api/v1/tickets/{ticket}/messages") for ticket in ids]
        refusals = [answer.json["error"] for answer in answers if answer.status != 200]
        assert refusals == ["The database file is damaged: run the check command, then restore a backup."]


@pytest.mark.parametrize(
    ("code", "told"),
    [(sqlite3.SQLITE_TOOBIG, "too large"), (sqlite3.SQLITE_CANTOPEN, "no file descriptor is left")],
)
def test_a_read_that_fails_is_told_by_its_cause_and_says_nothing_of_storing(code: int, told: str) -> None:
    error = sqlite3.OperationalError("as the test says")
    error.sqlite_errorcode = code
    sentence = disk.unavailable(error).sentence
    assert told in sentence
    assert "stored" not in sentence


@pytest.mark.parametrize("name", ["-- " * 50_000, "'" * 99_999, " " * 100_000 + "x", "(" * 100_000, "--\n" * 50_000])
def test_no_text_of_a_schema_takes_long_to_compare(name: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute('CREATE TABLE more ("{}")'.format(name.replace('"', "")))
        assert objects.strange_object(connection, 1, {})
