"""Files of other programs, of newer versions and of older ones."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from keva import identity
from keva.errors import FileUnusable
from keva.storage import backups, copies, schema
from keva.storage.database import Database
from keva.storage.opening import alone

from .served import Server, count, keva, process, refused
from .system import killed_at_each_step, needs_fork

Serve = Callable[..., Server]
DATA = Path(__file__).parent / "data"
RELEASED = json.loads((DATA / "schema-1.json").read_text(encoding="utf-8"))
NEXT = schema.VERSION + 1
# What a later version may do: another table, filled from those that there are.
STEP = """
CREATE TABLE tallies (workspace INTEGER NOT NULL UNIQUE, tickets INTEGER NOT NULL) STRICT;
INSERT INTO tallies SELECT workspace, count(*) FROM tickets GROUP BY workspace;
"""


@pytest.fixture(params=range(1, schema.VERSION))
def version(request: pytest.FixtureRequest) -> int:
    """Of an earlier schema."""
    return int(request.param)


@pytest.fixture
def released(db: Path, version: int) -> Path:
    """A desk as that schema had it, with answers that its server gave."""
    with closing(sqlite3.connect(db)) as connection:
        connection.executescript((DATA / f"schema-{version}.sql").read_text(encoding="utf-8"))
        connection.execute(f"PRAGMA application_id = {0x4B657661}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("PRAGMA journal_mode = WAL")
    return db


@contextmanager
def _opened(db: Path) -> Iterator[Database]:
    database = Database(db, identity.mint)
    try:
        yield database
    finally:
        database.close()


def _made(db: Path) -> None:
    assert keva("seed", 20, "--db", db).returncode == 0


def _pragma(db: Path, name: str) -> int:
    with closing(sqlite3.connect(db)) as connection:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _everything(db: Path) -> str:
    with closing(sqlite3.connect(db)) as connection:
        return "\n".join(connection.iterdump())


def _kept(db: Path) -> list[Path]:
    return sorted(path for path in db.parent.glob("keva.db.schema-*") if path.name.endswith("Z"))


# Whose file it is


def test_a_new_file_says_whose_it_is_and_which_schema_it_has(db: Path) -> None:
    _made(db)
    assert _pragma(db, "application_id").to_bytes(4, "big") == b"Keva"
    assert _pragma(db, "user_version") == schema.VERSION


_COMMANDS = [
    ("serve", "--port", "0"),
    ("keys", "create"),
    ("keys", "list"),
    ("check",),
    ("backup", "/nowhere"),
    ("seed", "1"),
]


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda words: words[0])
def test_a_file_of_a_newer_version_is_refused_and_left_byte_for_byte(db: Path, command: tuple[str, ...]) -> None:
    _made(db)
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA user_version = 999")
    for path in db.parent.glob("keva.db-*"):
        path.unlink()
    _is_refused_untouched(db, command, "was made by a newer version of Keva (schema 999")


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("named", ["of another program", "in WAL mode", "no database"])
def test_a_foreign_file_is_refused_and_left_byte_for_byte(db: Path, named: str, command: tuple[str, ...]) -> None:
    if named == "no database":
        db.write_text("a letter\n" * 1000)
    else:
        _make_foreign(db, "WAL" if named == "in WAL mode" else "DELETE")
    told = "is not a Keva database" if named == "no database" else "belongs to another program"
    _is_refused_untouched(db, command, told)


def _make_foreign(db: Path, mode: str) -> None:
    with closing(sqlite3.connect(db)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE tickets (theirs)")
        connection.execute("PRAGMA user_version = 1")


def _is_refused_untouched(db: Path, command: tuple[str, ...], sentence: str) -> None:
    before = db.read_bytes()
    run = process if command[0] == "serve" else keva
    assert sentence in refused(run(*command, "--db", db))
    assert db.read_bytes() == before
    # SQLite itself leaves these two where a file in WAL mode is only looked at.
    beside = [path for path in db.parent.glob("*") if path != db and path.name not in ("keva.db-wal", "keva.db-shm")]
    assert beside == []
    assert not any(path.stat().st_size for path in db.parent.glob("keva.db-wal"))


# Earlier schemas


def test_a_desk_of_an_earlier_schema_gives_the_same_answers(released: Path, serve: Serve) -> None:
    server = serve(db=released)
    for name, answers in RELEASED["answers"].items():
        with server.client(RELEASED["keys"][name]) as client:
            for path, expected in answers.items():
                answer = client.ask("GET", path)
                assert [answer.status, answer.body.decode()] == expected, path
    assert _pragma(released, "user_version") == schema.VERSION
    assert backups.check(released) == []


def test_a_desk_of_an_earlier_schema_goes_on(released: Path, serve: Serve) -> None:
    with serve(db=released).client(RELEASED["keys"]["all"]) as client:
        before = client.tickets().json["pagination"]["total"]
        ticket = client.create("New").data["id"]
        assert client.change(ticket, status="solved").status == 200
        assert client.say(ticket, "Thank you.").status == 201
        assert client.tickets().json["pagination"]["total"] == before + 1
    assert backups.check(released) == []


def test_a_copy_of_the_earlier_schema_is_kept(released: Path, version: int) -> None:
    before = _everything(released)
    with _opened(released):
        pass
    [kept] = _kept(released)
    assert _pragma(kept, "user_version") == version
    assert _everything(kept) == before
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_backup_of_an_earlier_schema_is_checked_and_restored(
    released: Path, version: int, serve: Serve, tmp_path: Path
) -> None:
    assert "is sound" in keva("check", "--db", released).stdout
    assert keva("restore", released, "--db", tmp_path / "new.db").returncode == 0
    with serve(db=tmp_path / "new.db").client(RELEASED["keys"]["all"]) as client:
        assert client.tickets().body.decode().count("tkt_") == 1
    assert _pragma(released, "user_version") == version  # what only reads it leaves it as it is


def test_a_migrated_desk_has_the_tables_of_a_new_one(released: Path, tmp_path: Path) -> None:
    with _opened(released), _opened(tmp_path / "new.db"):
        pass
    assert _tables(released) == _tables(tmp_path / "new.db")


def _tables(db: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(db)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    return [(name, _without_layout(sql or "")) for name, sql in rows]


def _without_layout(sql: str) -> str:
    """Where SQLite adds a column by itself, it has no line of its own."""
    words = " ".join(line.split("--")[0] for line in sql.splitlines()).split()
    return " ".join(words).replace(" ,", ",").replace(" )", ")")


# A pretended next schema


@pytest.fixture
def next_version(db: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """The migrations, one of which leads to a schema that there was not yet when the desk at `db` was made."""
    _made(db)
    steps = {**schema.MIGRATIONS, schema.VERSION: STEP}
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    monkeypatch.setattr(schema, "VERSION", NEXT)
    return steps


def test_an_older_desk_is_migrated_and_a_copy_kept_before(db: Path, next_version: dict[int, str]) -> None:
    before = _everything(db)
    with _opened(db) as database, database.read() as reader:
        assert reader.all("SELECT tickets FROM tallies") == [(20,)]
    assert _pragma(db, "user_version") == NEXT
    [kept] = _kept(db)
    assert _everything(kept) == before
    assert _pragma(kept, "user_version") == NEXT - 1
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_desk_that_is_up_to_date_is_not_copied(db: Path) -> None:
    _made(db)
    with _opened(db):
        pass
    assert _kept(db) == []


def test_a_migration_that_fails_leaves_the_file_as_it_was(db: Path, next_version: dict[int, str]) -> None:
    before = _everything(db)
    next_version[NEXT - 1] = STEP + "INSERT INTO nowhere VALUES (1);"
    with pytest.raises(FileUnusable), _opened(db):
        pass
    assert _everything(db) == before
    assert _pragma(db, "user_version") == NEXT - 1
    next_version[NEXT - 1] = STEP
    with _opened(db):
        pass
    assert _pragma(db, "user_version") == NEXT


def test_each_migration_is_a_transaction_of_its_own(
    db: Path, next_version: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "VERSION", NEXT + 1)
    next_version[NEXT] = "CREATE TABLE second (x); INSERT INTO nowhere VALUES (1);"
    with pytest.raises(FileUnusable), _opened(db):
        pass
    assert _pragma(db, "user_version") == NEXT
    assert count(db, "tallies") == 1
    next_version[NEXT] = "CREATE TABLE second (x);"
    with _opened(db):
        pass
    assert _pragma(db, "user_version") == NEXT + 1


def test_without_room_for_the_copy_nothing_is_migrated(
    db: Path, next_version: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _everything(db)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(copies, "copy", full)
    with pytest.raises(FileUnusable), _opened(db):
        pass
    assert _everything(db) == before
    assert _pragma(db, "user_version") == NEXT - 1


def test_nothing_is_migrated_while_it_is_served(db: Path, serve: Serve, next_version: dict[int, str]) -> None:
    server = serve()
    with server.client() as client:
        client.create()
        with pytest.raises(FileUnusable, match="is being served already"), _opened(db):
            pass
        assert client.create().status == 201
    assert _pragma(db, "user_version") == NEXT - 1


def test_nothing_is_migrated_while_another_command_writes(db: Path, next_version: dict[int, str]) -> None:
    with alone(db), pytest.raises(FileUnusable), _opened(db):
        pass
    assert _pragma(db, "user_version") == NEXT - 1
    with _opened(db):
        pass
    assert _pragma(db, "user_version") == NEXT


@needs_fork
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_migration_killed_at_any_step_is_done_at_the_next_start(
    db: Path, every: int, figures: Counter[str], next_version: dict[int, str]
) -> None:
    older = db.read_bytes()
    seen = set()
    for step in killed_at_each_step(lambda: Database(db, identity.mint), before=lambda: _put_back(db, older)):
        seen.add(_pragma(db, "user_version"))
        if step % every == 0:
            with _opened(db) as database, database.read() as reader:
                assert reader.all("SELECT tickets FROM tallies") == [(20,)]
            assert backups.check(db) == []
        figures["migrations killed in the middle"] += 1
    assert seen == {NEXT - 1, NEXT}


def _put_back(db: Path, older: bytes) -> None:
    for path in db.parent.glob("keva.db?*"):
        path.unlink()
    db.write_bytes(older)
