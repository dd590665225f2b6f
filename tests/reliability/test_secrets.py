"""No key's text is kept or told anywhere, and no file of the desk is open to others."""

import os
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from .served import KEY, Server, keva, process
from .system import failing, needs_strace

Serve = Callable[..., Server]


class _Desk:
    """A served desk with keys of each kind, all used and misused."""

    def __init__(self, server: Server, db: Path) -> None:
        self.server, self.db = server, db
        self.made = keva("keys", "create", "--db", db).stdout.split()
        self.revoked = keva("keys", "create", "--scope", "tickets:read", "--db", db).stdout.split()
        self.texts = [self.made[1], self.revoked[1], KEY]
        self.wrong = "keva_live_" + "0123456789abcdef" * 4
        self.answers: list[bytes] = []
        self.told: list[str] = []

    def use(self) -> None:
        for text in (*self.texts, self.wrong):
            self._ask(text)
        self.told.append(keva("keys", "revoke", self.revoked[0], "--db", self.db).stdout)
        self._ask(self.revoked[1])

    def _ask(self, text: str) -> None:
        with self.server.client(text) as client:
            for answer in (
                client.create(),
                client.ask("GET", "/api/v1/tickets"),
                client.ask("GET", f"/api/v1/tickets/{text}"),
                client.ask("GET", f"/api/v1/tickets?key={text}"),
                client.ask("GET", f"/{text}?{text}"),
                client.ask("DELETE", f"/api/v1/tickets/{text}"),
                client.ask("POST", "/api/v1/tickets", {"apiKey": text}),
                client.ask("PATCH", f"/api/v1/tickets/{text}", {"status": text}),
                client.ask("GET", f"/api/v1/tickets?workspace_id={text}"),
            ):
                self.answers.append(answer.body + str(answer.headers).encode())


@pytest.fixture
def desk(serve: Serve, db: Path) -> _Desk:
    desk = _Desk(serve("--verbose"), db)
    desk.use()
    return desk


def _places(desk: _Desk) -> dict[str, bytes]:
    db, folder = desk.db, desk.db.parent
    desk.told.append(keva("backup", folder / "desk.backup", "--db", db).stdout)
    desk.told.append(keva("export", folder / "tickets.jsonl", "--db", db).stdout)
    desk.told.append(keva("keys", "list", "--db", db).stdout)
    desk.told.append(keva("check", "--db", db).stdout)
    places = {path.name: path.read_bytes() for path in folder.iterdir()}
    places |= {"the log": desk.server.log.encode(), "standard output": desk.server.out.read_bytes()}
    places["what commands told"] = "\n".join(desk.told).encode()
    return places


def test_no_text_of_a_key_is_in_any_file_log_or_list(desk: _Desk, figures: Counter[str]) -> None:
    places = _places(desk)
    assert {"keva.db", "keva.db-wal", "desk.backup", "tickets.jsonl"} <= set(places)
    assert desk.made[0].encode() in places["keva.db-wal"] + places["keva.db"]  # they are there by their ids
    assert desk.made[0].encode() in places["what commands told"]
    for text in desk.texts:
        assert [name for name, content in places.items() if text.encode() in content] == []
        assert [name for name, content in places.items() if text[10:].encode() in content] == []
    figures["keys searched for"] += len(desk.texts)
    figures["places in which they were searched for"] += len(places) + len(desk.answers)


def test_no_answer_holds_the_text_of_a_key(desk: _Desk) -> None:
    assert len(desk.answers) > 40
    for text in (*desk.texts, desk.wrong):
        assert [answer for answer in desk.answers if text.encode() in answer] == []


def test_the_log_tells_of_a_refused_key_by_its_last_four_characters_at_most(desk: _Desk) -> None:
    assert "127.0.0.1" in desk.server.log
    assert desk.wrong[-4:] in desk.server.log
    for text in (*desk.texts, desk.wrong):
        assert text not in desk.server.log
        assert text[-5:] not in desk.server.log


@needs_strace
def test_failures_of_the_disk_tell_no_key_either(desk: _Desk) -> None:
    with failing(desk.server.pid, "pwrite64", "EIO"):
        desk.use()
    for text in desk.texts:
        assert text not in desk.server.log
        assert [answer for answer in desk.answers if text.encode() in answer] == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_each_file_of_the_desk_is_its_owners_alone_whatever_the_umask(serve: Serve, db: Path, umask: int) -> None:
    server = serve(umask=umask)
    with server.client() as client:
        client.create()
    for command in (("keys", "create"), ("backup", db.with_name("desk.backup")), ("export", db.with_name("lines"))):
        assert process(*command, "--db", db, umask=umask).returncode == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in db.parent.iterdir()}
    assert {"keva.db", "keva.db-wal", "keva.db-shm", "keva.db-lock", "keva.db-serving", "desk.backup"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_what_a_restore_and_a_migration_keep_is_its_owners_alone(db: Path) -> None:
    for command in (("seed", 3), ("backup", db.with_name("desk.backup")), ("restore", db.with_name("desk.backup"))):
        assert process(*command, "--db", db, umask=0).returncode == 0
    assert {path.name: oct(path.stat().st_mode) for path in db.parent.iterdir() if path.stat().st_mode & 0o077} == {}
