"""Many connections, and what goes on whatever one of them does."""

import errno
import logging
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from keva.http import descriptors, server

from .serving import GET, HELD, Running, is_refusal, read_answer, running, wait_until


def hold_with_slow_ones(running_server: Running, count: int) -> None:
    slow = [running_server.send(b"GET /x HTTP/1.1\r\nHost: desk\r\n") for _ in range(count)]
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.05):
            for client in slow:
                client.sendall(b"A")

    trickling = threading.Thread(target=trickle)
    trickling.start()
    wait_until(lambda: running_server.connections >= count, 20)
    for _ in range(20):
        begun = time.perf_counter()
        assert running_server.ask(GET).status == 200
        assert time.perf_counter() - begun < 0.9
        time.sleep(0.04)
    over.set()
    trickling.join()


def test_slow_senders_do_not_hold_up_an_honest_client(running_server: Running) -> None:
    hold_with_slow_ones(running_server, 100)


@pytest.mark.slow
def test_900_slow_senders_do_not_hold_up_an_honest_client(running_server: Running) -> None:
    hold_with_slow_ones(running_server, 900)


def fill(running_server: Running, count: int) -> list[socket.socket]:
    """So many connections, each idle after its answer."""
    clients = [running_server.send(GET) for _ in range(count)]
    assert [read_answer(client).status for client in clients] == [200] * count
    wait_until(lambda: len(running_server.server._listener.idle) == count)
    return clients


def test_at_the_limit_the_connection_that_has_been_idle_for_longest_makes_room(running_server: Running) -> None:
    running_server.server._listener.places = 3
    first, second, third = fill(running_server, 3)
    first.sendall(GET)
    assert read_answer(first).status == 200  # so that the second one has been idle for longest
    wait_until(lambda: len(running_server.server._listener.idle) == 3)
    assert running_server.ask(GET).status == 200
    assert second.recv(1) == b""
    for kept in (first, third):
        kept.sendall(GET)
        assert read_answer(kept).status == 200


def test_at_the_limit_a_connection_that_never_said_a_word_makes_room_too(running_server: Running) -> None:
    running_server.server._listener.places = 1
    silent = running_server.connect()
    wait_until(lambda: running_server.connections == 1)
    assert running_server.ask(GET).status == 200
    assert silent.recv(1) == b""


def test_at_the_limit_nobody_who_is_being_answered_makes_room(running_server: Running) -> None:
    running_server.server._listener.places = 2
    held = [running_server.send(HELD) for _ in range(2)]
    running_server.wait_for_calls(2)
    waiting = running_server.send(GET)
    running_server.app.release.set()
    assert [read_answer(client).status for client in (*held, waiting)] == [200] * 3


@pytest.mark.slow
def test_a_thousand_connections_are_held_and_served_and_one_more_takes_the_place_of_the_first(
    running_server: Running,
) -> None:
    clients = fill(running_server, descriptors.CONNECTIONS)
    assert running_server.connections == descriptors.CONNECTIONS
    assert running_server.ask(GET).status == 200
    assert clients[0].recv(1) == b""
    assert running_server.connections == descriptors.CONNECTIONS


WITHOUT_DESCRIPTORS = """
import resource, socket, threading, time
from keva.http import listener, server

server.places = lambda: 1000
server.SWEEP_SECONDS = listener.RETRY_SECONDS = 0.1
served = server.Server(lambda environ, start: start("200 OK", [("Content-Length", "0")]) and [], threads=1)
port = int(served.url.rsplit(":", 1)[1])
clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
thread = threading.Thread(target=served.run)
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
thread.start()
time.sleep(0.5)
spent = time.process_time()
time.sleep(0.5)
assert time.process_time() - spent < 0.1, "it spins"
for client in clients:
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: desk\\r\\nConnection: close\\r\\n\\r\\n")
    client.settimeout(5)
    assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    client.close()
served.stop()
thread.join(5)
assert not thread.is_alive()
"""


def test_it_lives_without_spinning_when_the_system_has_no_descriptor_left() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_DESCRIPTORS], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert 1 <= done.stderr.count("No file descriptor") <= 40, done.stderr


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # nobody was there to close it
@pytest.mark.parametrize(
    "error", [(OSError, errno.ENOTCONN, "gone"), (OSError, errno.EINVAL, "odd"), (KeyError, "bug")]
)
def test_a_client_that_cannot_be_let_in_does_not_close_the_door(
    running_server: Running, monkeypatch: pytest.MonkeyPatch, error: tuple[Any, ...]
) -> None:
    def fail_once(*_: Any, **__: Any) -> None:
        monkeypatch.undo()
        kind, *reason = error
        raise kind(*reason)

    monkeypatch.setattr(running_server.server._listener, "channel_class", fail_once)
    assert running_server.connect().recv(1) == b""
    assert running_server.ask(GET).status == 200


def test_a_request_that_waited_too_long_for_a_thread_is_sent_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "QUEUE_SECONDS", 0.3)
    with running(threads=1) as running_server:
        held = running_server.send(HELD)
        running_server.wait_for_calls(1)
        late = running_server.send(GET)
        answer = read_answer(late)
        assert is_refusal(answer, 503)
        assert answer.headers["retry-after"] == "1"
        running_server.app.release.set()
        assert read_answer(held).status == 200
        assert running_server.app.paths == ["/held"]
        assert [record.name for record in caplog.records] == ["keva"]


def test_the_application_can_reset_one_connection_and_others_go_on(
    running_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    other = running_server.send(GET)
    assert read_answer(other).status == 200
    client = running_server.send(b"GET /reset HTTP/1.1\r\nHost: desk\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    other.sendall(GET)
    assert read_answer(other).status == 200
    assert running_server.send(b"GET /drop HTTP/1.1\r\nHost: desk\r\n\r\n").recv(1) == b""
    half = running_server.send(b"GET /partial HTTP/1.1\r\nHost: desk\r\n\r\n")
    half.settimeout(2)
    assert b"".join(iter(lambda: half.recv(1000), b"")).endswith(b'\r\n\r\n{"half')
    assert caplog.records == []


def test_one_connection_serves_many_requests_sent_at_once(running_server: Running) -> None:
    client = running_server.send(GET * 50)
    assert [read_answer(client).status for _ in range(50)] == [200] * 50


def test_who_has_said_all_still_gets_the_answer(running_server: Running) -> None:
    client = running_server.send(HELD)
    client.shutdown(socket.SHUT_WR)
    running_server.wait_for_calls(1)
    time.sleep(0.1)
    running_server.app.release.set()
    assert read_answer(client).status == 200
    assert client.recv(1) == b""


def test_the_log_of_waitress_stays_empty_under_load(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with running(threads=1) as running_server:
        clients = [running_server.send(GET) for _ in range(50)]
        assert [read_answer(client).status for client in clients] == [200] * 50
    assert [record for record in caplog.records if record.name.startswith("waitress")] == []
