"""Servers in processes of their own, which can be killed, and clients that remember what was acknowledged."""

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from keva.cli.main import execute
from keva.cli.signals import Signals
from tests.commands import APP, Command, Done, environ, run

KEY = "keva_live_" + "5afe0c1eb0a7" * 6
SECONDS_TO_START = 15.0
TICKET = {"body": "It does not work.", "customerEmail": "ann@example.com"}


class Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        assert self.status in (200, 201), self.body
        return self.json["data"]


class Client:
    """One connection, kept open."""

    def __init__(self, port: int, key: str = KEY) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, sent: Any = None) -> Answer:
        body = None if sent is None else json.dumps(sent).encode()
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def create(self, subject: str = "Help", **more: Any) -> Answer:
        return self.ask("POST", "/api/v1/tickets", {"subject": subject, **TICKET, **more})

    def say(self, ticket: str, body: str) -> Answer:
        sent = {"direction": "outbound", "senderEmail": "bob@example.com", "body": body}
        return self.ask("POST", f"/api/v1/tickets/{ticket}/messages", sent)

    def change(self, ticket: str, **changes: Any) -> Answer:
        return self.ask("PATCH", f"/api/v1/tickets/{ticket}", changes)

    def tickets(self) -> Answer:
        return self.ask("GET", "/api/v1/tickets?per_page=1")

    def health(self) -> Answer:
        return self.ask("GET", "/healthz")


class Server:
    """`app.py` on the database at `db`, running once made; `wrapper` is a command that runs it."""

    def __init__(self, db: Path, logs: Path, *options: str, wrapper: tuple[str, ...] = (), umask: int = -1) -> None:
        self.db, self.out, self.err = db, logs / "out", logs / "err"
        words = ["--db", str(db), "--port", "0", *options]
        with self.out.open("w") as out, self.err.open("a") as err:
            how: dict[str, Any] = {"stdout": out, "stderr": err, "env": environ(KEVA_API_KEY=KEY), "umask": umask}
            self.process: Command | subprocess.Popen[bytes] = (
                subprocess.Popen([*wrapper, sys.executable, str(APP), *words], **how)
                if wrapper
                else Command(*words, **how)
            )
        self.port = self._port()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.err.read_text()

    def client(self, key: str = KEY) -> Client:
        return Client(self.port, key)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def _port(self) -> int:
        until(lambda: "\n" in self.out.read_text() or self.process.poll() is not None, SECONDS_TO_START)
        told = self.out.read_text()
        assert told.startswith("Keva is listening on "), (told, self.log)
        return int(told.splitlines()[0].rpartition(":")[2])


class Promised:
    """What was acknowledged: it has to be found again, whatever happens."""

    def __init__(self) -> None:
        self.subjects: dict[str, str] = {}
        self.messages: dict[str, tuple[str, str]] = {}
        self.changes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.subjects) + len(self.messages) + sum(self.changes.values())

    def missing(self, db: Path) -> list[Any]:
        """What of it is not in the file; a change may have been followed by one whose answer was cut off."""
        with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
            tickets = {row[0]: row[1:] for row in connection.execute("SELECT id, subject, assigned_to FROM tickets")}
            rows = connection.execute(
                "SELECT messages.id, tickets.id, body FROM messages JOIN tickets ON tickets.seq = ticket"
            ).fetchall()
        messages = {row[0]: row[1:] for row in rows}
        return [
            *(one for one, subject in self.subjects.items() if tickets.get(one, (None,))[0] != subject),
            *(one for one, said in self.messages.items() if messages.get(one) != said),
            *(one for one, change in self.changes.items() if int(tickets.get(one, (0, 0))[1] or 0) < change),
        ]


class Load:
    """Threads that write as fast as they are answered, from the block's start to its end or the server's."""

    def __init__(self, server: Server, promised: Promised | None = None, threads: int = 6) -> None:
        self.promised = promised if promised is not None else Promised()
        self.refused: list[Answer] = []
        self._port, self._stopped = server.port, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.promised) > 0 or self.refused, 10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self, by: int = 1, seconds: float = 10.0) -> None:
        """Waits until so many more writes are acknowledged."""
        before = len(self.promised)
        until(lambda: len(self.promised) >= before + by, seconds)

    def is_refused(self, by: int = 1, seconds: float = 10.0) -> None:
        """Waits until so many more writes are refused."""
        before = len(self.refused)
        until(lambda: len(self.refused) >= before + by, seconds)

    def _work(self, number: int) -> None:
        with Client(self._port) as client:
            try:
                while not self._stopped.is_set():
                    self._write(client, f"{number}-{time.monotonic_ns()}")
            except (OSError, http.client.HTTPException):
                return  # the server was killed, which promises nothing

    def _write(self, client: Client, name: str) -> None:
        made = self._acknowledged(client.create(name))
        if not made:
            return
        self.promised.subjects[made["id"]] = name
        for change in (1, 2):
            if said := self._acknowledged(client.say(made["id"], f"{name} {change}")):
                self.promised.messages[said["id"]] = (made["id"], f"{name} {change}")
            if self._acknowledged(client.change(made["id"], assignedTo=str(change))):
                self.promised.changes[made["id"]] = change

    def _acknowledged(self, answer: Answer) -> Any:
        if answer.status in (200, 201):
            return answer.data
        self.refused.append(answer)
        time.sleep(0.01)
        return None


def keva(*arguments: object) -> Done:
    """Runs a command to its end, in this process."""
    without = {name: None for name in os.environ if name.startswith("KEVA_")}
    with CliRunner().isolation(env=without) as (out, err, *_):
        status = execute([str(argument) for argument in arguments], NoSignals())
        return Done(status, out.getvalue().decode(), err.getvalue().decode())


class NoSignals(Signals):
    """Leaves the signals of the tests' process as they are."""

    def __init__(self) -> None:
        pass

    def let_go(self) -> None:
        pass


def process(*arguments: object, wrapper: tuple[str, ...] = (), umask: int = -1, **variables: str) -> Done:
    """Runs a command to its end in a process of its own."""
    if not wrapper:
        return run(*arguments, umask=umask, env=environ(**variables))
    done = subprocess.run(
        [*wrapper, sys.executable, "-B", str(APP), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        umask=umask,
        env=environ(**variables),
    )
    return Done(done.returncode, done.stdout, done.stderr)


def refused(done: Done) -> str:
    """The one sentence of a command that could not be carried out."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    """Waits for it to become so."""
    over = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < over, "it did not come"
        time.sleep(0.005)


def is_unavailable(answer: Answer, retry: bool = True) -> bool:
    """503 in the one shape, and with Retry-After where waiting helps."""
    assert answer.status == 503, (answer.status, answer.body)
    assert list(answer.json) == ["error"]
    assert answer.json["error"].endswith(".")
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.headers["Retry-After"] is not None) == retry, answer.body
    return True


def count(db: Path, table: str) -> int:
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
