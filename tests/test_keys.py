"""Keys and ids: what is made, what is kept of it, and what ends it."""

import hashlib
import os
import re
import sqlite3
from collections import Counter
from contextlib import closing

import httpx
import pytest

from keva import identity
from keva.errors import NotFound
from keva.storage.database import Database
from keva.testing.clock import Clock

TICKETS = "/api/v1/tickets"


@pytest.fixture
def database(tmp_path):
    clock = Clock()
    clock.freeze("2024-01-15T10:30:00Z")
    database = Database(tmp_path / "keva.db", identity.mint, clock)
    yield database
    database.close()


def kept(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM keys ORDER BY seq")]


def test_a_minted_id_is_a_prefix_and_twenty_random_characters_each_as_likely_as_the_others():
    ids = [identity.mint("tkt") for _ in range(3600)]
    assert all(re.fullmatch("tkt_[0-9a-z]{20}", id) for id in ids)
    assert len(set(ids)) == 3600
    counts = Counter("".join(id.removeprefix("tkt_") for id in ids))
    assert len(counts) == 36
    assert all(1750 < count < 2250 for count in counts.values())  # 2000 on average, within 5.7 deviations


def test_a_made_key_is_told_once_and_only_its_digest_and_its_end_are_kept(cli, tmp_path):
    cli("import", os.devnull)
    workspace = cli("workspaces", "create", "--name", "Second desk").stdout.split()[0]
    words = ["--name", "a report", "--workspace", workspace, "--scope", "tickets:write", "--scope", "tickets:read"]
    told = re.fullmatch(r"(key_[0-9a-z]{20})  (keva_live_[0-9a-f]{64})\n", cli("keys", "create", *words).stdout)
    assert told
    id, key = told.groups()

    [row] = kept(tmp_path / "keva.db")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row.pop("created_at"))
    assert row == {
        "seq": 1,
        "id": id,
        "name": "a report",
        "digest": hashlib.sha256(key.encode()).digest(),
        "last_four": key[-4:],
        "scopes": "tickets:read tickets:write",
        "workspace": 2,
        "last_used_at": None,
        "revoked_at": None,
    }


def test_without_options_a_key_has_both_scopes_and_all_workspaces(cli, tmp_path):
    cli("import", os.devnull)
    cli("keys", "create")
    [row] = kept(tmp_path / "keva.db")
    assert (row["scopes"], row["workspace"]) == ("tickets:read tickets:write", None)


def test_a_key_revoked_again_keeps_the_time_at_which_it_ended(database):
    with database.write() as tx:
        made = identity.create_key(tx, "first")
    for _ in range(2):
        with database.write() as tx:
            identity.revoke_key(tx, made["id"])
        database.clock.advance(60)
    with database.read() as reader:
        [row] = identity.list_keys(reader)
    assert row["revoked_at"] == "2024-01-15T10:30:00Z"


def test_when_a_key_was_last_used_is_when_it_was_and_not_when_that_was_stored(database):
    with database.write() as tx:
        key = identity.create_key(tx, "first")["key"]
    ring = identity.Keyring()
    with database.read() as reader:
        ring.authenticate(reader, f"Bearer {key}", database.clock)
    database.clock.advance(60)
    ring.store_last_used(database)
    with database.read() as reader:
        [row] = identity.list_keys(reader)
    assert row["last_used_at"] == "2024-01-15T10:30:00Z"


def test_a_key_of_a_workspace_that_is_not_there_is_not_made(database):
    with pytest.raises(NotFound), database.write() as tx:
        identity.create_key(tx, "first", workspace_id="ws_nope")
    with database.read() as reader:
        assert identity.list_keys(reader) == []


@pytest.mark.parametrize("key", ["keva_live_x", "keva_live_two words", "keva_live_schlüssel", "keva_live_🔑"])
def test_a_fixed_key_may_be_any_text_after_its_beginning(serve, key):
    running = serve("--api-key", key)
    answer = httpx.get(running.origin + TICKETS, headers={b"Authorization": b"Bearer " + key.encode()})
    assert answer.status_code == 200
