"""What the server does with connections, whatever the application behind it."""

import json
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from waitress.channel import ClientDisconnected

from keva import channel, request, server
from keva.errors import CannotStart
from keva.server import Server

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


class Desk:
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
        body = str(sent).encode() if path == "/count" else self.answer
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body[at : at + MIB] for at in range(0, len(body), MIB)]


@dataclass
class Running:
    desk: Desk
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
    desk = Desk()
    served = Server(desk, threads=threads, host=host)
    thread = threading.Thread(target=served.run)
    thread.start()
    here = Running(desk, served, thread)
    try:
        yield here
    finally:
        desk.release.set()
        here.clients.close()
        here.stop()


@pytest.fixture
def here() -> Iterator[Running]:
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
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\n\r\nhello\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 10000, 400),
        (b"GET /x HTTP/1.1\r\nA: " + b"a" * 33000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_not_taken_is_refused_in_the_one_shape_and_closed(
    here: Running, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    client = here.send(sent)
    assert is_refusal(read_answer(client), status)
    assert client.recv(1) == b""
    assert here.desk.paths == []
    assert len([record for record in caplog.records if record.name == "keva"]) == 1
    assert here.ask(GET).status == 200


def test_a_refused_head_request_gets_no_body(here: Running) -> None:
    client = here.send(b"HEAD /x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
    answer = read_answer(client, "HEAD")
    assert (answer.status, client.recv(1)) == (413, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_refusal_is_logged_with_its_method_path_status_and_sentence(
    here: Running, caplog: pytest.LogCaptureFixture
) -> None:
    answer = here.ask(b"POST /x?q=1 HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "POST")
    assert caplog.messages == [f"127.0.0.1 POST /x 413 {answer.json['error']}"]


def test_a_crash_is_logged_and_answered_without_its_reason(here: Running, caplog: pytest.LogCaptureFixture) -> None:
    answer = here.ask(b"GET /crash HTTP/1.1\r\n\r\n")
    assert is_refusal(answer, 500)
    assert b"secret" not in answer.body
    assert "the secret inside" in caplog.text
    assert here.ask(GET).status == 200


def test_a_request_before_the_refused_one_is_answered_first(here: Running) -> None:
    client = here.send(b"GET /held HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    here.wait_for_calls(1)
    here.desk.release.set()
    assert read_answer(client).status == 200
    assert is_refusal(read_answer(client), 400)


def test_a_line_made_to_be_slow_to_read_holds_nobody_up(here: Running) -> None:
    for slow in (
        b"GET /x HTTP/1.1\r\nA:" + b" " * 32000 + b"b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nA: " + b"b " * 15000 + b"\x01\r\n\r\n",
        b"GET a://" + b"1" * 32000 + b" HTTP/1.1 x\r\n\r\n",
    ):
        begun = time.perf_counter()
        here.ask(slow)
        assert time.perf_counter() - begun < 0.5


# How large


def test_a_body_of_four_mebibytes_is_taken_and_one_byte_more_refused(here: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    assert here.ask(head % (4 * MIB) + b"a" * (4 * MIB)).body == b"%d" % (4 * MIB)
    assert is_refusal(here.ask(head % (4 * MIB + 1)), 413)


def test_chunks_of_four_mebibytes_are_taken_and_one_byte_more_refused(here: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    assert here.ask(head + chunk * 64 + b"0\r\n\r\n").body == b"%d" % (4 * MIB)
    assert is_refusal(here.ask(head + chunk * 64 + b"1\r\n"), 413)


def test_a_body_over_four_mebibytes_is_refused_and_the_client_reads_why(here: Running) -> None:
    whole = b"POST /x HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n" + b"a" * 5_000_000
    answers: list[int] = []

    def send() -> None:
        answers.append(here.ask(whole).status)

    clients = [threading.Thread(target=send) for _ in range(30)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert answers == [413] * 30


def test_a_head_of_32_kib_is_taken(here: Running) -> None:
    start = b"GET /x HTTP/1.1\r\nA: "
    assert here.ask(start + b"a" * (32 * 1024 - len(start) - 4) + b"\r\n\r\n").status == 200
    assert here.ask(start + b"a" * (32 * 1024 - len(start) - 3) + b"\r\n\r\n").status == 431


def test_continue_is_said_to_who_may_and_not_to_who_is_refused(here: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    client = here.send(head % 3)
    assert read_answer(client).status == 100
    client.sendall(b"abc")
    assert read_answer(client).body == b"3"
    assert here.ask(head % 5_000_000).status == 413
    assert here.ask(b"GET /x HTTP/1.1\r\nExpect: 100-continue\r\n\r\n").status == 200


def test_bodies_under_way_are_bounded_in_sum(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "MAX_BODIES", 2 * MIB)
    part = b"POST /count HTTP/1.1\r\nContent-Length: 1500000\r\n\r\n" + b"a" * 1_400_000
    first = here.send(part)
    wait_until(lambda: here.server._listener.bodies.held > MIB)
    answer = here.ask(part)
    assert is_refusal(answer, 503)
    assert answer.headers["retry-after"] == "1"
    first.sendall(b"a" * 100_000)
    assert read_answer(first).body == b"1500000"
    first.close()
    wait_until(lambda: here.server._listener.bodies.held == 0)


# How long


def test_a_head_that_does_not_come_is_given_up(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.3)
    for begun in (b"", b"GET /x HTTP/1.1\r\nA: "):
        client = here.send(begun)
        assert is_refusal(read_answer(client), 408)
        assert client.recv(1) == b""


def test_a_byte_now_and_then_gains_no_time(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.5)
    client = here.connect()
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


def test_a_body_that_does_not_come_is_given_up(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.3)
    client = here.send(b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
    assert is_refusal(read_answer(client), 408)


def test_a_second_head_has_its_own_deadline(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.3)
    client = here.send(GET)
    assert read_answer(client).status == 200
    time.sleep(0.6)
    client.sendall(GET)
    assert read_answer(client).status == 200
    client.sendall(b"GET")
    assert is_refusal(read_answer(client), 408)


def test_a_kept_connection_at_rest_is_closed_without_a_word(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "IDLE_SECONDS", 0.3)
    client = here.send(GET)
    assert read_answer(client).status == 200
    assert client.recv(1) == b""


def test_who_does_not_read_is_closed_and_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(threads=1) as here:
        here.desk.answer = b"a" * (20 * MIB)
        deaf = here.send(GET)
        here.wait_for_calls(1)
        here.desk.answer = b"{}"
        begun = time.perf_counter()
        assert here.ask(GET).body == b"{}"
        assert time.perf_counter() - begun < 1
        monkeypatch.setattr(channel, "SEND_SECONDS", 0.3)
        wait_until(lambda: len(here.server._listener.active_channels) <= 1)
        with pytest.raises((AssertionError, ConnectionResetError)):
            read_answer(deaf)


def test_a_large_answer_reaches_who_reads_it_slowly(here: Running) -> None:
    here.desk.answer = os.urandom(8 * MIB)
    client = here.send(GET)
    time.sleep(0.3)
    assert read_answer(client).body == here.desk.answer


# How many


def hold_with_slow_ones(here: Running, count: int) -> None:
    slow = [here.send(b"GET /x HT") for _ in range(count)]
    wait_until(lambda: len(here.server._listener.active_channels) >= count, 20)
    for client in slow:
        client.sendall(b"T")
    begun = time.perf_counter()
    assert here.ask(GET).status == 200
    assert time.perf_counter() - begun < 0.5


def test_slow_senders_do_not_hold_up_an_honest_client(here: Running) -> None:
    hold_with_slow_ones(here, 150)


@pytest.mark.slow
def test_900_slow_senders_do_not_hold_up_an_honest_client(here: Running) -> None:
    hold_with_slow_ones(here, 900)


def test_it_lives_through_a_want_of_descriptors(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = here.send(GET)
    assert read_answer(kept).status == 200
    tries = []

    class Exhausted:
        """The listening socket, without descriptors for a while."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real

        def accept(self) -> Any:
            tries.append(time.perf_counter())
            if time.perf_counter() < over:
                raise OSError(24, "Too many open files")
            return self.real.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    over = time.perf_counter() + 0.6
    listener = here.server._listener
    monkeypatch.setattr(listener, "socket", Exhausted(listener.socket))
    waiting = here.send(GET)
    kept.sendall(GET)
    assert read_answer(kept).status == 200
    assert read_answer(waiting).status == 200
    assert len(tries) < 30


def test_a_request_that_waited_too_long_for_a_thread_is_sent_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "QUEUE_SECONDS", 0.3)
    with running(threads=1) as here:
        held = here.send(b"GET /held HTTP/1.1\r\n\r\n")
        here.wait_for_calls(1)
        late = here.send(GET)
        time.sleep(0.6)
        here.desk.release.set()
        assert read_answer(held).status == 200
        answer = read_answer(late)
        assert is_refusal(answer, 503)
        assert answer.headers["retry-after"] == "1"
        assert here.desk.paths == ["/held"]
        assert [record.name for record in caplog.records] == ["keva"]


# Faults that the application asks for


def test_the_application_can_reset_one_connection_and_others_go_on(
    here: Running, caplog: pytest.LogCaptureFixture
) -> None:
    other = here.send(GET)
    assert read_answer(other).status == 200
    client = here.send(b"GET /reset HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    other.sendall(GET)
    assert read_answer(other).status == 200
    assert here.send(b"GET /drop HTTP/1.1\r\n\r\n").recv(1) == b""
    assert caplog.records == []


# The stop


def test_without_traffic_it_stops_at_once_and_leaves_nothing() -> None:
    before = threading.active_count()
    with running() as here:
        kept = here.send(GET)
        assert read_answer(kept).status == 200
        assert here.stop() < 0.5
        assert kept.recv(1) == b""
        assert threading.active_count() == before
        with pytest.raises(OSError, match="refused"):
            here.connect()


def test_what_was_received_before_the_stop_is_answered() -> None:
    with running(threads=1) as here:
        clients = [here.send(b"GET /held HTTP/1.1\r\n\r\n") for _ in range(12)]
        here.wait_for_calls(1)
        threading.Timer(0.5, here.desk.release.set).start()
        assert here.stop() < 2
        answers = [read_answer(client) for client in clients]
        assert {(answer.status, answer.headers["connection"]) for answer in answers} == {(200, "close")}


def test_a_stop_under_load_loses_no_request() -> None:
    lost: list[str] = []

    def ask_on(here: Running) -> None:
        client = here.connect()
        while True:
            try:
                client.sendall(GET)
                if read_answer(client).headers.get("connection") == "close":
                    return
            except (AssertionError, OSError) as error:
                lost.append(repr(error))
                return

    for _ in range(5):
        with running() as here:
            callers = [threading.Thread(target=ask_on, args=(here,)) for _ in range(8)]
            for each in callers:
                each.start()
            time.sleep(0.1)
            here.stop()
            for each in callers:
                each.join()
    assert lost == []


def test_what_is_not_answered_in_time_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.5)
    with running(threads=1) as here:
        executing = here.send(b"GET /held HTTP/1.1\r\n\r\n")
        here.wait_for_calls(1)
        queued, incomplete = here.send(GET), here.send(b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
        assert here.stop() < 1.3
        for client in (executing, queued, incomplete):
            answer = read_answer(client)
            assert is_refusal(answer, 503)
            assert answer.headers["retry-after"] == "1"
            assert client.recv(1) == b""
        here.desk.release.set()
        assert here.desk.paths == ["/held"]


def test_a_stop_before_the_run_ends_it_at_once() -> None:
    served = Server(Desk())
    served.stop()
    served.stop()
    begun = time.perf_counter()
    served.run()
    assert time.perf_counter() - begun < 0.3
    served.stop()


# Where it listens


def test_a_port_in_use_is_told_in_one_sentence(here: Running) -> None:
    port = int(here.server.url.rsplit(":", 1)[1])
    with pytest.raises(CannotStart, match=f"{port}.*in use"):
        Server(Desk(), port=port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a" * 300])
def test_an_address_that_is_not_ours_is_told_in_one_sentence(host: str) -> None:
    with pytest.raises(CannotStart, match="not an address"):
        Server(Desk(), host=host)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no ::1 here")
    with running(host="::1") as here:
        assert here.server.url.startswith("http://[::1]:")
        assert here.ask(GET).status == 200


# What keeps going


def test_one_connection_serves_many_requests_sent_at_once(here: Running) -> None:
    client = here.send(GET * 50)
    assert [read_answer(client).status for _ in range(50)] == [200] * 50


def test_the_log_of_waitress_stays_empty_under_load(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with running(threads=1) as here:
        clients = [here.send(GET) for _ in range(50)]
        assert [read_answer(client).status for client in clients] == [200] * 50
    assert [record for record in caplog.records if record.name.startswith("waitress")] == []
