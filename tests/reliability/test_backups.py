"""Backups made while the server writes, checked, whole or not there at all; and the way back from them."""

import itertools
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from keva import identity
from keva.errors import FileUnusable, Unavailable
from keva.storage import backups
from keva.storage.database import Database
from keva.storage.opening import alone
from keva.storage.paths import beside
from keva.transfer import samples
from keva.transfer.importer import TicketImporter
from keva.transfer.records import TicketRecord

from .served import Load, Promised, Server, count, keva, process, refused
from .system import killed_at_each_step, killing, needs_fork, needs_strace

Serve = Callable[..., Server]


EVERY = [3, pytest.param(1, marks=pytest.mark.slow)]  # step at which it is killed


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "desk.backup"


def _backed_up(db: Path, target: Path) -> None:
    done = keva("backup", target, "--db", db)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def _seeded(db: Path, tickets: int = 50) -> None:
    with _desk(db) as database, database.write() as tx:
        importer = TicketImporter(tx)
        for line in samples.records(tickets):
            importer.store(_new(line))


def _new(line: TicketRecord) -> TicketRecord:
    """The same, under ids that are not taken."""
    messages = [message.model_copy(update={"id": None, "ticket_id": None}) for message in line.messages]
    return line.model_copy(update={"id": None, "messages": messages})


@contextmanager
def _desk(db: Path) -> Iterator[Database]:
    database = Database(db, identity.mint)
    try:
        yield database
    finally:
        database.close()


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# While the server writes


@pytest.mark.parametrize("backed_up", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_a_backup_under_load_is_sound_and_holds_all_that_was_acknowledged_before_it_began(
    serve: Serve, db: Path, target: Path, backed_up: int, figures: Counter[str]
) -> None:
    with Load(serve()) as load:
        load.goes_on(by=50)
        for _ in range(backed_up):
            before = _promised_until_now(load)
            _backed_up(db, target)
            _is_a_whole_backup(target)
            assert before.missing(target) == []
            figures["tickets acknowledged before a backup began, and found in it"] += len(before.subjects)
    assert load.refused == []
    figures["backups taken under load, and checked"] += backed_up


def _promised_until_now(load: Load) -> Promised:
    copy = Promised()
    copy.subjects, copy.messages = load.promised.subjects.copy(), load.promised.messages.copy()
    copy.changes = load.promised.changes.copy()
    return copy


def _is_a_whole_backup(target: Path) -> None:
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert target.stat().st_mode & 0o777 == 0o600
    assert backups.check(target) == []
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_backup_is_served_as_the_desk_was(serve: Serve, db: Path, target: Path) -> None:
    with serve().client() as client:
        ticket = client.create("Kept").data["id"]
        answer = client.ask("GET", f"/api/v1/tickets/{ticket}").body
        _backed_up(db, target)
    with serve(db=target).client() as client:
        assert client.ask("GET", f"/api/v1/tickets/{ticket}").body == answer


def test_a_backup_takes_what_is_in_the_wal_alone_after_a_kill(serve: Serve, db: Path, target: Path) -> None:
    server = serve()
    with server.client() as client:
        client.create()
    server.kill()
    assert beside(db, "-wal").stat().st_size > 0
    _backed_up(db, target)
    assert count(target, "tickets") == 1


def test_check_passes_while_the_server_writes(serve: Serve, db: Path) -> None:
    with Load(serve()) as load:
        for _ in range(3):
            assert "is sound" in keva("check", "--db", db).stdout
    assert load.refused == []


# What a backup may replace


def test_an_older_backup_is_replaced_whole(db: Path, target: Path) -> None:
    _seeded(db, 3)
    _backed_up(db, target)
    _seeded(db, 2)
    _backed_up(db, target)
    assert count(target, "tickets") == 5
    _is_a_whole_backup(target)


@pytest.mark.parametrize("foreign", [b"a letter", b"", b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_backup_of_ours_is_left_as_it_is(db: Path, target: Path, foreign: bytes) -> None:
    _seeded(db)
    target.write_bytes(foreign)
    assert "is left as it is" in refused(keva("backup", target, "--db", db))
    assert _files(target.parent) == {target.name: foreign}


def test_a_database_of_another_program_is_left_as_it_is(db: Path, target: Path) -> None:
    _seeded(db)
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = _files(target.parent)
    assert "is left as it is" in refused(keva("backup", target, "--db", db))
    assert _files(target.parent) == before


def test_a_live_desk_is_never_replaced_by_a_backup(serve: Serve, db: Path, tmp_path: Path) -> None:
    _seeded(db)
    other = tmp_path / "other.db"
    server = serve(db=other)
    with server.client() as client:
        client.create()
        assert "is left as it is" in refused(keva("backup", other, "--db", db))
        assert client.create().status == 201
    server.stop()
    assert "is left as it is" in refused(keva("backup", other, "--db", db))
    assert count(other, "tickets") == 2


@pytest.mark.parametrize("name", ["keva.db", "./keva.db", "linked.db"])
def test_a_desk_is_never_backed_up_onto_itself(db: Path, name: str) -> None:
    _seeded(db)
    (db.parent / "linked.db").symlink_to(db)
    before = db.read_bytes()
    refused(keva("backup", f"{db.parent}/{name}", "--db", db))
    assert db.read_bytes() == before
    assert (db.parent / "linked.db").is_symlink()


def test_a_folder_that_is_not_there_is_told(db: Path, tmp_path: Path) -> None:
    _seeded(db)
    refused(keva("backup", tmp_path / "nowhere" / "backup", "--db", db))


def test_a_damaged_desk_is_not_made_into_a_backup(db: Path, target: Path) -> None:
    _seeded(db, 200)
    _backed_up(db, target)
    before = target.read_bytes()
    _damage(db)
    refused(keva("backup", target, "--db", db))
    assert _files(target.parent) == {target.name: before}


# Killed in the middle


@needs_fork
def test_a_backup_killed_at_any_step_leaves_the_older_one_or_the_new_one(
    db: Path, target: Path, figures: Counter[str]
) -> None:
    _seeded(db, 300)
    _backed_up(db, target)
    tickets = [300]
    for _ in killed_at_each_step(lambda: backups.backup(db, target)):
        assert backups.check(target) == []
        assert count(target, "tickets") in tickets
        _seeded(db, 1)
        tickets.append(tickets[-1] + 1)
    assert count(target, "tickets") > 300
    figures["backups killed in the middle"] += len(tickets) - 1


@needs_fork
def test_a_first_backup_killed_at_any_step_is_not_there_or_whole(db: Path, target: Path) -> None:
    _seeded(db, 300)
    seen = []
    for _ in killed_at_each_step(lambda: backups.backup(db, target)):
        seen.append(target.exists())
        if target.exists():
            assert backups.check(target) == []
            assert count(target, "tickets") == 300
            target.unlink()
    assert set(seen) == {False, True}


@needs_fork
def test_a_wal_without_its_database_is_not_played_over_what_is_restored(db: Path, target: Path) -> None:
    _seeded(db, 20)
    _backed_up(db, target)
    _leave_a_wal(db)
    db.unlink()

    backups.restore(db, target)

    assert count(db, "tickets") == 20
    assert backups.check(db) == []


def test_what_was_open_before_a_restore_neither_writes_nor_serves_after_it(db: Path, target: Path) -> None:
    _seeded(db, 20)
    _backed_up(db, target)
    with _desk(db) as database:
        backups.restore(db, target)
        with pytest.raises(Unavailable, match="moved or replaced"), database.write() as tx:
            TicketImporter(tx).store(_new(next(iter(samples.records(1)))))
        with pytest.raises(FileUnusable, match="replaced"):
            database.claim()
    assert count(db, "tickets") == 20


@needs_fork
@pytest.mark.parametrize("every", EVERY)
def test_a_restore_killed_at_any_step_leaves_a_desk_that_can_be_used(
    db: Path, target: Path, every: int, figures: Counter[str]
) -> None:
    _seeded(db, 300)
    _backed_up(db, target)
    _seeded(db, 1)
    for _ in killed_at_each_step(lambda: backups.restore(db, target), lambda: _tidy(db), every):
        assert backups.check(db) == []
        before = count(db, "tickets")
        assert before >= 300
        _seeded(db, 1)
        assert count(db, "tickets") == before + 1
        figures["restores killed in the middle"] += 1


@needs_fork
@pytest.mark.parametrize("every", EVERY)
def test_a_restore_killed_at_any_step_loses_no_ticket_that_was_in_the_wal_alone(
    db: Path, target: Path, every: int
) -> None:
    _seeded(db, 20)
    _backed_up(db, target)
    for _ in killed_at_each_step(lambda: backups.restore(db, target), lambda: (_tidy(db), _leave_a_wal(db)), every):
        kept = [path for path in db.parent.glob("keva.db.replaced-*") if not path.name.endswith(("-wal", "-shm"))]
        assert max(count(path, "tickets") for path in (db, *kept)) >= 21


def _tidy(db: Path) -> None:
    """Removes what earlier restores left: with each name that is taken, the next one has a step more."""
    for path in db.parent.glob("keva.db.re*"):
        path.unlink()


def _leave_a_wal(db: Path) -> None:
    """A ticket that a killed process left in the WAL."""
    if not (child := os.fork()):
        try:
            with Database(db, identity.mint).write() as tx:
                TicketImporter(tx).store(_new(next(iter(samples.records(1)))))
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert beside(db, "-wal").stat().st_size > 0


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_backup_or_restore_killed_at_any_call_that_changes_a_file_leaves_whole_files(
    serve: Serve, db: Path, target: Path, command: str, figures: Counter[str]
) -> None:
    _seeded(db, 100)
    _backed_up(db, target)
    killed = 0
    for call in ("pwrite64", "fsync", "fdatasync", "rename", "link", "unlink", "ftruncate"):
        for _ in _killed_at_each(call, command, str(target), "--db", str(db)):
            assert backups.check(target) == []
            assert backups.check(db) == []
            assert count(target, "tickets") >= 100
            assert count(db, "tickets") >= 100
            killed += 1
    assert killed > 20
    figures[f"{command}s killed in the middle"] += killed
    with serve().client() as client:
        assert client.create().status == 201


def _killed_at_each(call: str, *command: str) -> Iterator[int]:
    """Runs the command again and again, and kills it as it enters its first, second... such call."""
    for number in itertools.count(1):
        if process(*command, wrapper=killing(call, number)).returncode == 0:
            return
        yield number


# Restoring


def test_restoring_keeps_and_names_what_it_replaces(db: Path, target: Path) -> None:
    _seeded(db, 3)
    _backed_up(db, target)
    _seeded(db, 2)
    told = keva("restore", target, "--db", db).stdout
    kept = Path(told.strip().rpartition("is kept: ")[2])
    assert count(db, "tickets") == 3
    assert count(kept, "tickets") == 5
    assert backups.check(kept) == []
    assert {path.stat().st_mode & 0o777 for path in (db, kept)} == {0o600}


def test_restoring_keeps_what_is_in_the_wal_alone_after_a_kill(serve: Serve, db: Path, target: Path) -> None:
    _seeded(db, 3)
    _backed_up(db, target)
    server = serve()
    with server.client() as client:
        client.create()
    server.kill()
    told = keva("restore", target, "--db", db).stdout
    assert count(db, "tickets") == 3
    assert count(Path(told.strip().rpartition("is kept: ")[2]), "tickets") == 4
    with serve().client() as client:
        assert client.tickets().json["pagination"]["total"] == 3


def test_restoring_is_refused_while_the_desk_is_served(serve: Serve, db: Path, target: Path) -> None:
    server = serve()
    _backed_up(db, target)
    with server.client() as client:
        client.create()
        assert "stop its server first" in refused(keva("restore", target, "--db", db))
        assert client.create().status == 201
    assert count(db, "tickets") == 2


def test_a_desk_that_is_being_restored_is_not_served(db: Path, target: Path) -> None:
    _seeded(db)
    _backed_up(db, target)
    with alone(db):
        refused(process("serve", "--port", "0", "--db", db))
        refused(keva("restore", target, "--db", db))


def test_a_backup_is_restored_where_there_is_no_desk(serve: Serve, db: Path, target: Path, tmp_path: Path) -> None:
    _seeded(db, 3)
    _backed_up(db, target)
    elsewhere = tmp_path / "elsewhere.db"
    assert keva("restore", target, "--db", elsewhere).returncode == 0
    with serve(db=elsewhere).client() as client:
        assert client.tickets().json["pagination"]["total"] == 3


@pytest.mark.parametrize("cut", ["damaged", "cut off", "foreign", "empty"])
def test_what_is_no_sound_backup_is_not_restored(db: Path, target: Path, cut: str) -> None:
    _seeded(db, 200)
    _backed_up(db, target)
    before = db.read_bytes()
    if cut == "damaged":
        _damage(target)
    else:
        whole = target.read_bytes()
        target.write_bytes({"cut off": whole[: len(whole) // 2], "foreign": b"a letter" * 600, "empty": b""}[cut])
    refused(keva("restore", target, "--db", db))
    assert db.read_bytes() == before
    assert [path.name for path in db.parent.iterdir() if ".re" in path.name] == []


@pytest.mark.parametrize("left", [b"not a database" * 1000, b"", None])
def test_a_damaged_desk_is_restored_from_a_backup(
    serve: Serve, db: Path, target: Path, left: bytes | None, figures: Counter[str]
) -> None:
    _seeded(db, 200)
    _backed_up(db, target)
    if left is None:
        _damage(db)
    else:
        db.write_bytes(left)
    damaged = db.read_bytes()
    told = keva("restore", target, "--db", db)
    assert told.returncode == 0, told.stderr
    assert Path(told.stdout.strip().rpartition("is kept: ")[2]).read_bytes() == damaged
    with serve().client() as client:
        assert client.tickets().json["pagination"]["total"] == 200
    figures["damaged desks restored"] += 1


@needs_fork
def test_a_damaged_desk_is_kept_with_what_is_in_its_wal(db: Path, target: Path) -> None:
    _seeded(db, 3)
    _backed_up(db, target)
    _leave_a_wal(db)
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
        [(ticket,)] = connection.execute("SELECT id FROM tickets WHERE seq = 4").fetchall()
    with db.open("r+b") as file:
        file.write(b"not a database")
    kept = Path(keva("restore", target, "--db", db).stdout.strip().rpartition("is kept: ")[2])
    assert kept.read_bytes().startswith(b"not a database")
    assert any(ticket.encode() in path.read_bytes() for path in kept.parent.glob(f"{kept.name}*"))
    assert count(db, "tickets") == 3


# Checking


def _damage(db: Path) -> None:
    """Spoils what lies in the middle of the file."""
    with db.open("r+b") as file:
        for page in range(8, db.stat().st_size // 4096):
            file.seek(page * 4096 + 40)
            file.write(b"\xff" * 200)


def _damage_an_index(db: Path) -> None:
    """Leaves each page readable, and the tables as they are: only who compares the index with its table finds it."""
    with closing(sqlite3.connect(db)) as connection:
        [(ticket,)] = connection.execute("SELECT id FROM tickets WHERE seq = 5").fetchall()
    content = db.read_bytes()
    at = content.rindex(ticket.encode())
    assert content.count(ticket.encode()) == 2
    db.write_bytes(content[:at] + ticket[:-1].encode() + b"~" + content[at + len(ticket) :])


def _change(db: Path, sql: str) -> None:
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(sql)
        connection.commit()


def test_check_finds_an_empty_file(db: Path) -> None:
    db.touch()
    assert keva("check", "--db", db).returncode == 1


def test_check_finds_a_damaged_page(db: Path) -> None:
    _seeded(db, 200)
    _damage(db)
    done = keva("check", "--db", db)
    assert done.returncode == 1
    assert "is damaged: restore a backup" in done.stderr


def test_what_only_a_comparison_with_the_index_finds_is_found_and_not_backed_up_or_restored(
    db: Path, target: Path
) -> None:
    _seeded(db)
    _backed_up(db, target)
    sound, before = target.read_bytes(), db.read_bytes()
    _damage_an_index(target)
    assert keva("check", "--db", target).returncode == 1
    refused(keva("restore", target, "--db", db))
    assert db.read_bytes() == before
    target.write_bytes(sound)
    _damage_an_index(db)
    assert keva("check", "--db", db).returncode == 1
    refused(keva("backup", target, "--db", db))
    assert _files(target.parent) == {target.name: sound}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("DELETE FROM messages WHERE ticket = 7", "has no message"),
        ("UPDATE messages SET ticket = 4711 WHERE seq = 1", "not there"),
        ("DELETE FROM workspaces WHERE seq = 1", "not there"),
    ],
)
def test_check_finds_what_breaks_the_desks_rules(db: Path, target: Path, sql: str, told: str) -> None:
    _seeded(db)
    _change(db, sql)
    done = keva("check", "--db", db)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    refused(keva("backup", target, "--db", db))
    assert _files(target.parent) == {}


def test_check_changes_nothing(serve: Serve, db: Path) -> None:
    _seeded(db)
    before = db.read_bytes()
    assert keva("check", "--db", db).returncode == 0
    assert db.read_bytes() == before
