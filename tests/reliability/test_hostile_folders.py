"""What waits in a folder, or was left there: names taken, links laid, modes too open, logs deleted."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from keva import identity
from keva.errors import Unavailable
from keva.storage import partial
from keva.storage.database import Database
from keva.storage.partial import in_place_of
from keva.storage.paths import beside, free_name
from tests.commands import ROOT, environ

from .served import Server, count, keva, process

Serve = Callable[..., Server]
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes and links")


# Partial files


@posix
def test_a_file_is_filled_under_a_new_name_that_is_no_ones_else(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with in_place_of(tmp_path / "target") as path:
            names.add(path.name)
            assert path.stat().st_mode & 0o777 == 0o600
    assert len(names) == 2
    assert all(re.fullmatch(r"target\.[0-9a-f]{32}\.partial", name) for name in names)


@posix
def test_what_waits_under_the_name_is_neither_followed_nor_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(partial.secrets, "token_hex", lambda _: "guessed")
    for wait in (lambda path: path.symlink_to(victim), lambda path: path.touch(0o666)):
        waiting = tmp_path / "target.guessed.partial"
        wait(waiting)
        with pytest.raises(FileExistsError), in_place_of(tmp_path / "target"):
            pass
        assert victim.read_text() == "precious"
        waiting.unlink()


_KILLED_WHILE_IT_FILLS = """
import os, signal, sys
from pathlib import Path
from keva.storage.partial import in_place_of
with in_place_of(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    Path(f"{partial}-journal").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
def test_what_a_killed_command_left_is_removed_by_the_next_and_nothing_else_is(tmp_path: Path) -> None:
    target = tmp_path / "target"
    command = [sys.executable, "-c", _KILLED_WHILE_IT_FILLS, str(target)]
    assert subprocess.run(command, cwd=ROOT, env=environ(), check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    others = [tmp_path / name for name in (f"other.{'0' * 32}.partial", "target.mine.partial", f"target.{'0' * 32}")]
    for path in others:
        path.touch()
    link = tmp_path / f"target.{'1' * 32}.partial"
    link.symlink_to(others[0])
    with in_place_of(target) as live, in_place_of(target) as path:
        assert set(tmp_path.iterdir()) == {*others, link, live, path}
        path.write_text("whole")
    assert set(tmp_path.iterdir()) == {*others, link, target}


@posix
def test_a_name_where_a_dangling_link_waits_is_not_free(tmp_path: Path) -> None:
    db = tmp_path / "keva.db"
    free_name(db, "replaced").symlink_to(tmp_path / "elsewhere")
    name = free_name(db, "replaced")
    assert not os.path.lexists(name)


# Modes


@posix
def test_a_file_that_others_may_read_is_tightened_when_it_is_served_and_the_log_says_so(serve: Serve, db: Path) -> None:
    assert keva("seed", 3, "--db", db).returncode == 0
    db.chmod(0o644)
    server = serve()
    with server.client() as client:
        assert client.create().status == 201
    modes = {path.name: path.stat().st_mode & 0o777 for path in db.parent.iterdir()}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
    assert f"{db} had mode 0644, which lets others in: it is now 0600, its owner's alone." in server.log


@posix
def test_what_only_reads_a_file_leaves_its_mode(db: Path) -> None:
    assert keva("seed", 3, "--db", db).returncode == 0
    db.chmod(0o640)
    assert process("check", "--db", db).returncode == 0
    assert db.stat().st_mode & 0o777 == 0o640


# The log


@posix
@pytest.mark.parametrize("deleted", [["-wal"], ["-wal", "-shm"]])
def test_when_the_wal_is_deleted_nothing_acknowledged_is_lost_and_nothing_more_is_acknowledged(
    serve: Serve, db: Path, deleted: list[str]
) -> None:
    server = serve()
    with server.client() as client:
        for _ in range(3):
            assert client.create().status == 201
        for ending in deleted:
            beside(db, ending).unlink()
        refused = client.create()
        assert refused.status == 503
        assert refused.json["error"] == (
            "The database's -wal file was moved or deleted: nothing is stored until Keva is started again."
        )
        assert client.health().status == 503
        assert client.tickets().json["pagination"]["total"] == 3
    server.kill()
    assert count(db, "tickets") == 3
    with serve().client() as client:
        assert client.create().status == 201


def test_a_deleted_wal_is_not_folded_into_a_file_that_another_has_written(db: Path) -> None:
    with closing(Database(db, identity.mint)) as database:
        for ending in ("-wal", "-shm"):
            beside(db, ending).unlink()
        os.utime(db, ns=(2**62, 2**62))
        before = db.read_bytes()
        with pytest.raises(Unavailable, match="-wal"), database.write():
            pass
        assert db.read_bytes() == before


def test_a_desk_for_tests_that_is_made_as_new_again_and_again_keeps_its_wal_short(db: Path) -> None:
    with closing(Database(db, identity.mint, for_tests=True)) as database:
        new = database.image()
        for _ in range(300):
            database.put_back(new)
        assert beside(db, "-wal").stat().st_size < 8 * 1024 * 1024
