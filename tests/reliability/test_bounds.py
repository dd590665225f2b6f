"""What the service holds, and for how long others wait, whatever clients ask, send and do not read."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from keva import identity
from keva.storage.database import Database
from tests.commands import APP, environ

from .served import KEY, Server, until
from .system import held_by, needs_proc

MIB = 1024  # KiB
BODY = 148 * 1024
MESSAGES = "/api/v1/tickets/tkt_long/messages"


def make_long_ticket(db: Path, megabytes: int) -> int:
    """A ticket of so many MB of messages, and their number."""
    count = megabytes * 1_000_000 // BODY
    with closing(Database(db, identity.mint)) as database, database.write() as tx:
        tx.all(
            """
            INSERT INTO tickets
              (id, workspace, subject, status, priority, customer_email, source, created_at, updated_at)
            SELECT 'tkt_long', min(seq), 'Help', 'open', 'medium', 'ann@example.com', 'api', :now, :now FROM workspaces
            """,
            {"now": tx.now},
        )
        for number in range(count):
            tx.all(
                """
                INSERT INTO messages (id, ticket, direction, sender_email, body, created_at)
                SELECT ?, seq, 'inbound', 'ann@example.com', ?, ? FROM tickets
                """,
                (f"msg_{number}", "x" * BODY, tx.now),
            )
    return count


class Clients:
    """Connections of one test, which send bytes by hand."""

    def __init__(self, port: int) -> None:
        self._port, self._open = port, ExitStack()

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def send(self, text: str) -> socket.socket:
        client = self._open.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=20))
        client.sendall(text.encode())
        return client


def request(path: str, method: str = "GET", more: str = "") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {KEY}\r\n{more}\r\n"


@needs_proc
@pytest.mark.parametrize(
    ("megabytes", "deaf"), [(20, 20), pytest.param(120, 100, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_memory_stays_flat_however_long_a_ticket_is_and_whoever_does_not_read_it(
    serve: Callable[..., Server], db: Path, figures: Counter[str], megabytes: int, deaf: int
) -> None:
    count = make_long_ticket(db, megabytes)
    server = serve()
    with server.client() as client, Clients(server.port) as clients:
        assert client.tickets().status == 200
        before = held_by(server.pid).kilobytes
        for _ in range(deaf):
            clients.send(request(MESSAGES))
        assert len(client.ask("GET", MESSAGES).data) == count
        assert client.say("tkt_long", "One more").status == 201
        assert client.tickets().status == 200
        growth = held_by(server.pid).kilobytes - before
    figures[f"KiB more for {deaf} that do not read {megabytes} MB of messages"] = growth
    assert growth < 25 * MIB + deaf * 600


# The peak of a process's memory, which the system forgets with the process.
MEASURED = """
import atexit, re, runpy, sys
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
atexit.register(lambda: print(peak(), file=sys.stderr))
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


@needs_proc
@pytest.mark.parametrize("megabytes", [40, pytest.param(1100, marks=pytest.mark.slow)])
def test_an_export_takes_no_more_memory_for_a_long_ticket(db: Path, figures: Counter[str], megabytes: int) -> None:
    count = make_long_ticket(db, megabytes)
    out = db.with_name("out")
    with out.open("wb") as lines:
        command = [sys.executable, "-c", MEASURED, str(APP), "export", "-", "--db", str(db)]
        done = subprocess.run(command, stdout=lines, stderr=subprocess.PIPE, text=True, env=environ(), check=True)
    peak = int(done.stderr.splitlines()[-1])
    figures[f"KiB for an export of {megabytes} MB"] = peak
    assert peak < 80 * MIB
    assert out.stat().st_size > count * BODY


@needs_proc
@pytest.mark.parametrize("count", [200, pytest.param(990, marks=pytest.mark.slow)])
def test_large_heads_whose_bodies_do_not_come_take_little(
    serve: Callable[..., Server], figures: Counter[str], count: int
) -> None:
    server = serve()
    filling = "".join(f"A{number}: {'b' * 320}\r\n" for number in range(94))
    head = request("/x", "POST", "Content-Length: 1\r\nExpect: 100-continue\r\n" + filling)
    with server.client() as client, Clients(server.port) as clients:
        assert client.tickets().status == 200
        before = held_by(server.pid).kilobytes
        for sent in [clients.send(head) for _ in range(count)]:
            assert sent.recv(100).startswith(b"HTTP/1.1 100")  # the head was read
        assert client.tickets().status == 200
        growth = held_by(server.pid).kilobytes - before
    figures[f"KiB more for {count} heads of 31 KiB"] = growth
    assert growth < 20 * MIB + count * 100


@contextmanager
def senders(count: int, send: Callable[[], None]) -> Iterator[None]:
    """So many threads that do it again and again."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):  # refused, as it should be
                send()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("count", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_senders_of_tiny_chunks_and_tiny_headers_do_not_keep_others_waiting(
    serve: Callable[..., Server], count: int
) -> None:
    server = serve()
    chunks = request("/x", "POST", "Transfer-Encoding: chunked\r\n") + "1\r\na\r\n" * 5_000
    headers = request("/x", "POST", "a:b\r\n" * 6_000)

    def send() -> None:
        for text in (chunks, headers):
            with Clients(server.port) as clients:
                client = clients.send(text)
                while client.recv(65536):
                    pass

    with senders(count, send), server.client() as client:
        assert [client.tickets().status for _ in range(20)] == [200] * 20


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such limit")
def test_connections_leave_descriptors_for_the_database(serve: Callable[..., Server]) -> None:
    server = serve(wrapper=("sh", "-c", 'ulimit -n 64; exec "$0" "$@"'))
    with Clients(server.port) as clients:
        for _ in range(100):
            clients.send(request("/healthz"))
        with server.client() as client:
            assert client.create().status == 201
            assert client.tickets().status == 200
    until(lambda: "descriptor" not in server.log)
