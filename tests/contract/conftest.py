"""The desk under test: the one that KEVA_BASE_URL names, or a server of our own, started for the session.

| variable | what it opens |
|---|---|
| `KEVA_BASE_URL`, `KEVA_API_KEY` | the desk, as its origin, and a key with both scopes; nothing more is needed |
| `KEVA_READ_ONLY_API_KEY`, `KEVA_WRITE_ONLY_API_KEY`, `KEVA_REVOKED_API_KEY` | keys of the same workspace |
| `KEVA_WORKSPACE_ID` | that workspace: the first of the desk |
| `KEVA_OTHER_WORKSPACE_ID`, `KEVA_OTHER_WORKSPACE_API_KEY` | another workspace, and a key of only that one |
| `KEVA_ALL_WORKSPACES_API_KEY` | a key of all workspaces |
| `KEVA_WEBHOOK_PORT`, `KEVA_WEBHOOK_SECRET` | where the desk sends all events to on this machine, and what signs them |

What needs a variable that is not set is skipped, and names it. Nothing is skipped on a server of our own.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.commands import PIPE, Command, environ, run
from tests.receiver import Receiver, unused_port

from .client import WRITES, Client, Heard, Write

FIXED_KEY = "keva_live_your_api_key"


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    if "KEVA_BASE_URL" in os.environ:
        yield os.environ
        return
    folder = tmp_path_factory.mktemp("desk")
    keys = _keys(folder / "keva.db") | _webhook(folder / "keva.db")
    words = ["serve", "--port", "0", "--db", folder / "keva.db"]
    log = folder / "keva.log"
    with log.open("w") as errors:
        server = Command(*words, env=environ(KEVA_API_KEY=FIXED_KEY), stdout=PIPE, stderr=errors)
    with server:
        try:
            yield {"KEVA_BASE_URL": _address(server, log), "KEVA_ALL_WORKSPACES_API_KEY": FIXED_KEY, **keys}
            server.terminate()
            assert server.wait(10) == 0
            assert "Traceback" not in log.read_text()
        finally:
            server.kill()


@pytest.fixture(scope="session")
def client(settings: Mapping[str, str]) -> Iterator[Client]:
    with Client(settings) as client:
        yield client


@pytest.fixture
def ticket(client: Client) -> dict:
    return client.ticket(client.create()["id"])


@pytest.fixture(params=WRITES, ids=str)
def write(client: Client, request: pytest.FixtureRequest) -> Write:
    return Write(client, request.param)


@pytest.fixture(scope="session")
def _aged_tickets(client: Client) -> list[dict]:
    made = [client.ticket(client.create()["id"]) for _ in range(20)]
    time.sleep(1.1)
    return made


@pytest.fixture
def aged_ticket(_aged_tickets: list[dict]) -> dict:
    """A ticket made over a second ago, so that a new `updatedAt` can be told from its old one."""
    return _aged_tickets.pop()


@pytest.fixture(scope="session")
def heard(client: Client) -> Iterator[Heard]:
    port, secret = client.needs("KEVA_WEBHOOK_PORT"), client.needs("KEVA_WEBHOOK_SECRET")
    with Receiver(port=int(port)) as receiver:
        yield Heard(receiver, secret)


def _webhook(db: Path) -> dict[str, str]:
    """One to a port where the receiver will listen, once a test wants it."""
    port = unused_port()
    made = _run(db, "webhooks", "create", f"http://127.0.0.1:{port}/keva")
    return {"KEVA_WEBHOOK_PORT": str(port), "KEVA_WEBHOOK_SECRET": made.split()[1]}


def _keys(db: Path) -> dict[str, str]:
    _run(db, "import", os.devnull)
    other = _found("ws", _run(db, "workspaces", "create", "--name", "Other"))
    # The first workspace was made with the file, and stands first.
    own = next(id for id in _all_found("ws", _run(db, "workspaces", "list")) if id != other)
    revoked = _run(db, "keys", "create", "--name", "Revoked", "--workspace", own)
    _run(db, "keys", "revoke", _found("key", revoked))
    return {
        "KEVA_WORKSPACE_ID": own,
        "KEVA_OTHER_WORKSPACE_ID": other,
        "KEVA_API_KEY": _key(db, own),
        "KEVA_READ_ONLY_API_KEY": _key(db, own, "--scope", "tickets:read"),
        "KEVA_WRITE_ONLY_API_KEY": _key(db, own, "--scope", "tickets:write"),
        "KEVA_REVOKED_API_KEY": _found("keva_live", revoked),
        "KEVA_OTHER_WORKSPACE_API_KEY": _key(db, other),
    }


def _key(db: Path, workspace: str, *options: str) -> str:
    return _found("keva_live", _run(db, "keys", "create", "--name", "Tests", "--workspace", workspace, *options))


def _found(prefix: str, output: str) -> str:
    return _all_found(prefix, output)[0]


def _all_found(prefix: str, output: str) -> list[str]:
    return re.findall(rf"\b{prefix}_[0-9A-Za-z_-]+", output)


def _run(db: Path, *words: str) -> str:
    done = run(*words, "--db", db)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _address(server: Command, log: Path) -> str:
    line = server.stdout.readline()
    told = re.fullmatch(r"Keva is listening on (http://127\.0\.0\.1:\d+)\n", line)
    assert told, f"{line!r} {log.read_text()}"
    return told[1]
