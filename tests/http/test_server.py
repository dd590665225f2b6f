"""What the server does with connections, whatever the application behind it."""

import errno
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from waitress.channel import ClientDisconnected

from keva.errors import AddressUnusable
from keva.http import channel, parser, server
from keva.http.server import Server

MIB = 1024 * 1024
GET = b"GET /x HTTP/1.1\r\nHost: desk\r\n\r\n"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Database:
    """The application under these tests: it counts its calls, and holds those to /held until `release`."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.release = threading.Event()
        self.answer = b'{"ok": true}'

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        sent = len(environ["wsgi.input"].read())
        self.paths.append(path)
        if path == "/held":
            self.release.wait(20)
        if path == "/crash":
            raise RuntimeError("the secret inside")
        if path == "/reset":
            environ["keva.connection"].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ClientDisconnected
        if path == "/drop":
            raise ClientDisconnected
        if path == "/partial":
            return self.partial(start_response)
        body = str(sent).encode() if path == "/count" else self.answer
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body[at : at + MIB] for at in range(0, len(body), MIB)]

    def partial(self, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "100")])
        yield b'{"half'
        raise ClientDisconnected


@dataclass
class Running:
    desk: Database
    server: Server
    thread: threading.Thread
    clients: ExitStack = field(default_factory=ExitStack)

    def connect(self) -> socket.socket:
        host, port = self.server.url.removeprefix("http://").rsplit(":", 1)
        client = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
        return self.clients.enter_context(client)

    def send(self, data: bytes) -> socket.socket:
        client = self.connect()
        client.sendall(data)
        return client

    def ask(self, data: bytes, method: str = "GET") -> Answer:
        return read_answer(self.send(data), method)

    def stop(self) -> float:
        """Stops, and gives the seconds that took."""
        begun = time.perf_counter()
        self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
        return time.perf_counter() - begun

    @property
    def held(self) -> int:
        """How many bytes of large bodies are under way."""
        return self.server._listener.bodies.held

    @property
    def connections(self) -> int:
        return len(self.server._listener.active_channels)

    def wait_for_calls(self, count: int) -> None:
        wait_until(lambda: len(self.desk.paths) >= count)


def wait_until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.perf_counter() + seconds
    while not true():
        assert time.perf_counter() < end, "it never came true"
        time.sleep(0.01)


def read_answer(client: socket.socket, method: str = "GET") -> Answer:
    """Exactly one answer, so that what follows it on the connection can be read too."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        assert byte, f"closed after {head!r}"
        head += byte
    status, *lines = head.decode().strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
    body = b""
    while len(body) < length:
        piece = client.recv(length - len(body))
        assert piece, "closed within the body"
        body += piece
    return Answer(int(status.split()[1]), headers, body)


def is_refusal(answer: Answer, status: int) -> bool:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert "server" not in answer.headers
    assert list(answer.json) == ["error"]
    assert "waitress" not in answer.json["error"].lower()
    return True


@contextmanager
def running(threads: int = 4, host: str = "127.0.0.1") -> Iterator[Running]:
    desk = Database()
    served = Server(desk, threads=threads, host=host)
    thread = threading.Thread(target=served.run)
    thread.start()
    running_server = Running(desk, served, thread)
    try:
        yield running_server
    finally:
        desk.release.set()
        running_server.clients.close()
        running_server.stop()
        assert running_server.held == 0
        wait_until(lambda: not any(each.name.startswith("keva-") for each in threading.enumerate()))


@pytest.fixture
def running_server() -> Iterator[Running]:
    with running() as it:
        yield it


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.05)


# What it refuses, and how


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /x\r\n\r\n", 400),
        (b"GET /x HTTP/2.0\r\n\r\n", 400),
        (b"get /x HTTP/1.1\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"GET http://[::1:x/ HTTP/1.1\r\nHost: desk\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: " + b"9" * 6000 + b"\r\n\r\n", 413),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\ntransfer-encoding:\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: ,\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding:\r\n chunked\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding : chunked\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\n\r\nhello\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 10000, 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 413),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 0x3\r\n\r\nabc", 400),
        (b"GET /x\x01y HTTP/1.1\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nA: " + b"a" * 33000 + b"\r\n\r\n", 431),
        (b"GET /x HTTP/1.1\r\nA: " + b"a" * 33000, 431),
    ],
)
def test_what_is_not_taken_is_refused_in_the_one_shape_and_closed(
    running_server: Running, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    client = running_server.send(sent)
    assert is_refusal(read_answer(client), status)
    assert client.recv(1) == b""
    assert running_server.desk.paths == []
    assert len([record for record in caplog.records if record.name == "keva"]) == 1
    assert running_server.ask(GET).status == 200


def test_a_refused_head_request_gets_no_body(running_server: Running) -> None:
    client = running_server.send(b"HEAD /x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
    answer = read_answer(client, "HEAD")
    assert (answer.status, client.recv(1)) == (413, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_refusal_is_logged_with_its_method_path_status_and_sentence(
    running_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    answer = running_server.ask(b"POST /x?q=1 HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "POST")
    assert caplog.messages == [f"127.0.0.1 POST /x 413 {answer.json['error']}"]


def test_a_crash_is_logged_and_answered_without_its_reason(
    running_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    answer = running_server.ask(b"GET /crash HTTP/1.1\r\n\r\n")
    assert is_refusal(answer, 500)
    assert b"secret" not in answer.body
    assert "the secret inside" in caplog.text
    assert running_server.ask(GET).status == 200


def test_a_request_before_the_refused_one_is_answered_first(running_server: Running) -> None:
    client = running_server.send(b"GET /held HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    running_server.wait_for_calls(1)
    running_server.desk.release.set()
    assert read_answer(client).status == 200
    assert is_refusal(read_answer(client), 400)


def test_nothing_is_served_after_a_crash_on_the_same_connection(running_server: Running) -> None:
    client = running_server.send(b"GET /crash HTTP/1.1\r\n\r\n" + GET)
    assert is_refusal(read_answer(client), 500)
    assert client.recv(1) == b""
    assert running_server.desk.paths == ["/crash"]


def test_a_line_made_to_be_slow_to_read_holds_nobody_up(running_server: Running) -> None:
    for slow in (
        b"GET /x HTTP/1.1\r\nA:" + b" " * 32000 + b"b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nA: " + b"b " * 15000 + b"\x01\r\n\r\n",
        b"GET " + b"a://" * 8000 + b" \r\n\r\n",
        b"GET " + b"a" * 32000 + b" \r\n\r\n",
        b"GET a://" + b"1" * 32000 + b" HTTP/one\r\n\r\n",
    ):
        begun = time.perf_counter()
        running_server.ask(slow)
        assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize("data", [b"\r\n" * 8, os.urandom(40000), b"\x00" * 40000, b"\xff\r\n\r\n" * 100])
def test_garbage_harms_nobody(running_server: Running, data: bytes) -> None:
    client = running_server.send(data)
    client.shutdown(socket.SHUT_WR)
    assert running_server.ask(GET).status == 200


def test_tiny_chunks_are_read_in_a_time_that_grows_with_their_number_alone(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    begun = time.perf_counter()
    assert running_server.ask(head + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n").body == b"100000"
    assert time.perf_counter() - begun < 2


@pytest.mark.slow
def test_too_many_tiny_chunks_are_refused(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert is_refusal(running_server.ask(head + b"1\r\na\r\n" * 1_500_000), 413)


# How large


def test_a_body_of_four_mebibytes_is_taken_and_one_byte_more_refused(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    assert running_server.ask(head % (4 * MIB) + b"a" * (4 * MIB)).body == b"%d" % (4 * MIB)
    assert is_refusal(running_server.ask(head % (4 * MIB + 1)), 413)


def test_chunks_of_four_mebibytes_are_taken_and_one_byte_more_refused(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    assert running_server.ask(head + chunk * 64 + b"0\r\n\r\n").body == b"%d" % (4 * MIB)
    assert is_refusal(running_server.ask(head + chunk * 64 + b"1\r\n"), 413)


def test_a_body_over_four_mebibytes_is_refused_and_the_client_reads_why(running_server: Running) -> None:
    whole = b"POST /x HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n" + b"a" * 5_000_000
    answers: list[int] = []

    def send() -> None:
        answers.append(running_server.ask(whole).status)

    clients = [threading.Thread(target=send) for _ in range(30)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert answers == [413] * 30


def test_a_head_of_32_kib_is_taken(running_server: Running) -> None:
    start = b"GET /x HTTP/1.1\r\nA: "
    assert running_server.ask(start + b"a" * (32 * 1024 - len(start) - 4) + b"\r\n\r\n").status == 200
    assert running_server.ask(start + b"a" * (32 * 1024 - len(start) - 3) + b"\r\n\r\n").status == 431


def test_continue_is_said_to_who_may_and_not_to_who_is_refused(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    client = running_server.send(head % 3)
    assert read_answer(client).status == 100
    client.sendall(b"abc")
    assert read_answer(client).body == b"3"
    assert running_server.ask(head % 5_000_000).status == 413
    assert running_server.ask(b"GET /x HTTP/1.1\r\nExpect: 100-continue\r\n\r\n").status == 200


def test_large_bodies_under_way_are_bounded_in_sum_and_small_ones_get_through(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "SMALL_BODY", 1000)
    monkeypatch.setattr(parser, "MAX_BODIES", MIB)
    head = b"POST /count HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    first = running_server.send(head % (MIB + 1000) + b"a" * (MIB + 999))
    wait_until(lambda: running_server.held == MIB - 1)
    answer = running_server.ask(head % 2000 + b"a" * 2000)
    assert is_refusal(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert running_server.ask(head % 1000 + b"a" * 1000).body == b"1000"
    first.sendall(b"a")
    assert read_answer(first).body == b"%d" % (MIB + 1000)
    wait_until(lambda: running_server.held == 0)
    assert running_server.ask(head % 2000 + b"a" * 2000).body == b"2000"


def test_what_a_body_took_of_the_sum_is_given_back_however_it_ends(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "SMALL_BODY", 0)
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.3)
    chunked = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + b"a" * 0xFFF
    sized = b"POST %s HTTP/1.1\r\nContent-Length: 4095\r\n\r\n"
    running_server.send(sized % b"/x" + b"a" * 1000).close()  # gone in the middle
    assert running_server.ask(sized % b"/x" + b"a" * 1000).status == 408
    assert running_server.ask(chunked + b"bad\r\n").status == 400
    assert running_server.ask(chunked + b"\r\nffffff\r\n").status == 413
    assert running_server.ask(sized % b"/crash" + b"a" * 4095).status == 500
    assert running_server.send(sized % b"/drop" + b"a" * 4095).recv(1) == b""
    client = running_server.send((sized % b"/count" + b"a" * 4095) * 3 + GET)
    assert [read_answer(client).status for _ in range(4)] == [200] * 4
    gone = running_server.send(sized % b"/held" + b"a" * 4095)
    wait_until(lambda: running_server.desk.paths[-1] == "/held")
    assert running_server.held == 4095
    gone.close()
    running_server.desk.release.set()
    wait_until(lambda: running_server.held == 0)


def test_a_refused_body_is_let_go_of_before_a_thread_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "SMALL_BODY", 0)
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.5)
    with running(threads=1) as running_server:
        running_server.send(b"GET /held HTTP/1.1\r\n\r\n")
        running_server.wait_for_calls(1)
        for what_follows in (b"bad\r\n", b""):
            client = running_server.send(b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello")
            wait_until(lambda: running_server.held == 5)
            client.sendall(what_follows)
            wait_until(lambda: running_server.held == 0)


# How long


def test_a_head_that_does_not_come_is_given_up(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.3)
    for begun in (b"", b"GET /x HTTP/1.1\r\nA: "):
        client = running_server.send(begun)
        assert is_refusal(read_answer(client), 408)
        assert client.recv(1) == b""


def test_a_byte_now_and_then_gains_no_time(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.5)
    client = running_server.connect()
    begun = time.perf_counter()
    client.settimeout(0.05)
    for byte in GET[:-2] + b"A: " + b"a" * 60:
        client.sendall(bytes([byte]))
        try:
            assert b"408" in client.recv(1000)
            break
        except TimeoutError:
            continue
    else:
        pytest.fail("it waited for ever")
    assert time.perf_counter() - begun < 2


def test_a_body_that_does_not_come_is_given_up(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.3)
    client = running_server.send(b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
    assert is_refusal(read_answer(client), 408)


def test_a_second_head_has_its_own_deadline(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.3)
    client = running_server.send(GET)
    assert read_answer(client).status == 200
    time.sleep(0.6)
    client.sendall(GET)
    assert read_answer(client).status == 200
    client.sendall(b"GET")
    assert is_refusal(read_answer(client), 408)


def test_a_kept_connection_at_rest_is_closed_without_a_word(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "IDLE_SECONDS", 0.3)
    client = running_server.send(GET)
    assert read_answer(client).status == 200
    assert client.recv(1) == b""


def test_who_does_not_read_is_closed_and_holds_no_thread(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "SEND_SECONDS", 1.0)
    running_server.desk.answer = b"a" * (20 * MIB)
    deaf = [running_server.send(GET) for _ in range(8)]
    running_server.wait_for_calls(8)
    running_server.desk.answer = b"{}"
    begun = time.perf_counter()
    assert running_server.ask(GET).body == b"{}"
    assert time.perf_counter() - begun < 1
    wait_until(lambda: running_server.connections <= 1)
    for client in deaf:
        with pytest.raises((AssertionError, ConnectionResetError)):
            read_answer(client)


def test_a_large_answer_reaches_who_reads_it_slowly(running_server: Running) -> None:
    running_server.desk.answer = os.urandom(8 * MIB)
    client = running_server.send(GET * 2)
    time.sleep(0.3)
    assert read_answer(client).body == running_server.desk.answer
    assert read_answer(client).body == running_server.desk.answer


def test_the_clock_of_a_suite_that_stopped_it_is_not_ours(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (time, channel):
        monkeypatch.setattr(module, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.2)
    assert running_server.ask(GET).status == 200
    assert is_refusal(running_server.ask(b"GET"), 408)
    running_server.send(b"GET /held HTTP/1.1\r\n\r\n")
    wait_until(lambda: running_server.desk.paths[-1] == "/held")
    assert running_server.stop() < 1.5


# How many


def hold_with_slow_ones(running_server: Running, count: int) -> None:
    slow = [running_server.send(b"GET /x HTTP/1.1\r\n") for _ in range(count)]
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


@pytest.mark.slow
def test_a_thousand_connections_are_held_and_served_and_one_more_has_to_wait(running_server: Running) -> None:
    clients = [running_server.send(GET) for _ in range(server.CONNECTIONS)]
    assert [read_answer(client).status for client in clients] == [200] * server.CONNECTIONS
    assert running_server.connections == server.CONNECTIONS
    waiting = running_server.send(GET)
    waiting.settimeout(0.5)
    with pytest.raises(TimeoutError):
        waiting.recv(1)
    clients[0].close()
    waiting.settimeout(5)
    assert read_answer(waiting).status == 200


WITHOUT_DESCRIPTORS = """
import resource, socket, threading, time
from keva.http import server

server._allow_connections = lambda: None
server.SWEEP_SECONDS = 0.1
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
    client.sendall(b"GET / HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n")
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
        held = running_server.send(b"GET /held HTTP/1.1\r\n\r\n")
        running_server.wait_for_calls(1)
        late = running_server.send(GET)
        answer = read_answer(late)
        assert is_refusal(answer, 503)
        assert answer.headers["retry-after"] == "1"
        running_server.desk.release.set()
        assert read_answer(held).status == 200
        assert running_server.desk.paths == ["/held"]
        assert [record.name for record in caplog.records] == ["keva"]


# Faults that the application asks for


def test_the_application_can_reset_one_connection_and_others_go_on(
    running_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    other = running_server.send(GET)
    assert read_answer(other).status == 200
    client = running_server.send(b"GET /reset HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    other.sendall(GET)
    assert read_answer(other).status == 200
    assert running_server.send(b"GET /drop HTTP/1.1\r\n\r\n").recv(1) == b""
    half = running_server.send(b"GET /partial HTTP/1.1\r\n\r\n")
    half.settimeout(2)
    assert b"".join(iter(lambda: half.recv(1000), b"")).endswith(b'\r\n\r\n{"half')
    assert caplog.records == []


# The stop


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_without_traffic_it_stops_at_once_and_leaves_nothing() -> None:
    before = threading.active_count(), descriptors()
    with running() as running_server:
        kept, fresh = running_server.send(GET), running_server.connect()
        assert read_answer(kept).status == 200
        refused = running_server.send(b"nonsense\r\n\r\n")
        assert is_refusal(read_answer(refused), 400)
        assert running_server.stop() < 0.5
        assert (kept.recv(1), fresh.recv(1), refused.recv(1)) == (b"", b"", b"")
        with pytest.raises(OSError, match="refused"):
            running_server.connect()
    assert (threading.active_count(), descriptors()) == before


def test_it_stops_from_a_signal_handler_and_whoever_is_at_the_door_is_answered() -> None:
    desk = Database()
    served = Server(desk)
    host, port = served.url.removeprefix("http://").split(":")
    clients = [socket.create_connection((host, int(port)), timeout=5) for _ in range(20)]
    for client in clients:
        client.sendall(GET)
    before = signal.signal(signal.SIGALRM, lambda *_: served.stop())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        served.run()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [read_answer(client).status for client in clients] == [200] * 20
    for client in clients:
        client.close()


def test_all_that_was_sent_on_one_connection_before_the_stop_is_answered() -> None:
    with running(threads=1) as running_server:
        client = running_server.send(b"GET /held HTTP/1.1\r\n\r\n" + GET * 2)
        running_server.wait_for_calls(1)
        client.sendall(GET * 2)
        threading.Timer(0.2, running_server.desk.release.set).start()
        running_server.stop()
        answers = [read_answer(client) for _ in range(5)]
        assert [answer.headers.get("connection") for answer in answers] == [None] * 4 + ["close"]
        assert client.recv(1) == b""


@pytest.mark.slow
def test_a_call_that_hangs_does_not_hold_up_the_stop() -> None:
    with running(threads=1) as running_server:
        client = running_server.send(b"GET /held HTTP/1.1\r\n\r\n")
        running_server.wait_for_calls(1)
        assert running_server.stop() < 4.8
        assert is_refusal(read_answer(client), 503)


def test_what_was_received_before_the_stop_is_answered() -> None:
    with running(threads=1) as running_server:
        clients = [running_server.send(b"GET /held HTTP/1.1\r\n\r\n") for _ in range(12)]
        running_server.wait_for_calls(1)
        threading.Timer(0.5, running_server.desk.release.set).start()
        assert running_server.stop() < 2
        answers = [read_answer(client) for client in clients]
        assert {(answer.status, answer.headers["connection"]) for answer in answers} == {(200, "close")}


def post_in_a_loop(running_server: Running, stopped: threading.Event, lost: list[str]) -> None:
    client = running_server.connect()
    answer, before_the_stop = None, True
    try:
        while not answer or answer.headers.get("connection") != "close":
            client.sendall(b"POST /count HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
            before_the_stop = not stopped.is_set()
            answer = read_answer(client)
            assert answer.status == 200
    except (AssertionError, OSError) as error:
        if before_the_stop:
            lost.append(repr(error))


def test_a_stop_under_load_loses_no_request() -> None:
    lost: list[str] = []
    for _ in range(5):
        stopped = threading.Event()
        with running() as running_server:
            callers = [threading.Thread(target=post_in_a_loop, args=(running_server, stopped, lost)) for _ in range(8)]
            for each in callers:
                each.start()
            time.sleep(0.1)
            stopped.set()
            assert running_server.stop() < 1
            for each in callers:
                each.join()
    assert lost == []


def test_what_is_not_answered_in_time_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.5)
    with running(threads=1) as running_server:
        executing = running_server.send(b"GET /held HTTP/1.1\r\n\r\n")
        running_server.wait_for_calls(1)
        queued, incomplete = (
            running_server.send(GET),
            running_server.send(b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"),
        )
        assert running_server.stop() < 1.3
        for client in (executing, queued, incomplete):
            answer = read_answer(client)
            assert is_refusal(answer, 503)
            assert answer.headers["retry-after"] == "1"
            assert client.recv(1) == b""
        running_server.desk.release.set()
        assert running_server.desk.paths == ["/held"]


def test_who_was_told_that_it_is_too_late_gets_no_second_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.2)
    monkeypatch.setattr(server, "LAST_WORDS_SECONDS", 1.0)
    with running(threads=1) as running_server:
        client = running_server.send(b"GET /held HTTP/1.1\r\n\r\n")
        running_server.wait_for_calls(1)
        queued = running_server.send(GET)
        running_server.server.stop()
        assert is_refusal(read_answer(client), 503)
        running_server.desk.release.set()
        assert client.recv(1) == b""
        assert is_refusal(read_answer(queued), 503)
        assert queued.recv(1) == b""
        assert running_server.desk.paths == ["/held"]


def test_a_stop_before_the_run_ends_it_at_once() -> None:
    served = Server(Database())
    served.stop()
    served.stop()
    begun = time.perf_counter()
    served.run()
    assert time.perf_counter() - begun < 0.3
    served.stop()


# Where it listens


def test_a_port_in_use_is_told_in_one_sentence(running_server: Running) -> None:
    port = int(running_server.server.url.rsplit(":", 1)[1])
    with pytest.raises(AddressUnusable, match=f"{port}.*in use"):
        Server(Database(), port=port)


@pytest.mark.parametrize("port", [-1, 65536, 73616])
def test_a_number_that_is_no_port_is_told_in_one_sentence(port: int) -> None:
    with pytest.raises(AddressUnusable, match="not a port"):
        Server(Database(), port=port)


def test_a_path_arrives_with_all_its_slashes(running_server: Running) -> None:
    assert running_server.ask(b"GET //x//y HTTP/1.1\r\n\r\n").status == 200
    assert running_server.desk.paths == ["//x//y"]


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a" * 300])
def test_an_address_that_is_not_ours_is_told_in_one_sentence(host: str) -> None:
    with pytest.raises(AddressUnusable, match="not an address"):
        Server(Database(), host=host)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no ::1 here")
    with running(host="::1") as running_server:
        assert running_server.server.url.startswith("http://[::1]:")
        assert running_server.ask(GET).status == 200


# What keeps going


def test_one_connection_serves_many_requests_sent_at_once(running_server: Running) -> None:
    client = running_server.send(GET * 50)
    assert [read_answer(client).status for _ in range(50)] == [200] * 50


def test_who_has_said_all_still_gets_the_answer(running_server: Running) -> None:
    client = running_server.send(b"GET /held HTTP/1.1\r\n\r\n")
    client.shutdown(socket.SHUT_WR)
    running_server.wait_for_calls(1)
    time.sleep(0.1)
    running_server.desk.release.set()
    assert read_answer(client).status == 200
    assert client.recv(1) == b""


def test_an_empty_line_after_a_request_is_no_request(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.2)
    client = running_server.send(b"POST /count HTTP/1.1\r\nContent-Length: 1\r\n\r\na\r\n")
    assert read_answer(client).body == b"1"
    time.sleep(0.4)
    client.sendall(GET)
    assert read_answer(client).status == 200


def test_the_log_of_waitress_stays_empty_under_load(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with running(threads=1) as running_server:
        clients = [running_server.send(GET) for _ in range(50)]
        assert [read_answer(client).status for client in clients] == [200] * 50
    assert [record for record in caplog.records if record.name.startswith("waitress")] == []
