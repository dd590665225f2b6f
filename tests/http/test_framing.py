"""What is read as a request, and what is refused, and how."""

import random
import socket
import time

import pytest

from keva.http import channel
from keva.http.budget import Budget
from keva.http.parser import RequestParser

from .serving import CHUNKED, GET, HELD, MIB, Running, is_refusal, read_answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /x\r\n\r\n", 400),
        (b"GET /x HTTP/2.0\r\n\r\n", 400),
        (b"get /x HTTP/1.1\r\nHost: desk\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\nHost: desk\r\n\r\n", 400),
        (b"GET http://[::1:x/ HTTP/1.1\r\nHost: desk\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nno colon\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nA: b\nC: d\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nA: b\r\n c\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: " + b"9" * 6000 + b"\r\n\r\n", 413),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 3\r\ntransfer-encoding:\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 3\r\nTransfer-Encoding: ,\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 3\r\nTransfer-Encoding:\r\n chunked\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 3\r\nTransfer-Encoding : chunked\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (CHUNKED + b"zz\r\n", 400),
        (CHUNKED + b"1\r\nabc\r\n", 400),
        (CHUNKED + b"5\n\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1;" + b"a" * 10000, 400),
        (CHUNKED + b"1\r\na\r\n\r\n0\r\n\r\n", 400),
        (CHUNKED + b"0\r\nA: b\n\r\n", 400),
        (CHUNKED + b"fffffffffffffffff\r\n", 413),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 0x3\r\n\r\nabc", 400),
        (b"GET /x\x01y HTTP/1.1\r\nHost: desk\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nA: " + b"a" * 33000 + b"\r\n\r\n", 431),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nA: " + b"a" * 33000, 431),
    ],
)
def test_what_is_not_taken_is_refused_in_the_one_shape_and_closed(
    running_server: Running, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    client = running_server.send(sent)
    assert is_refusal(read_answer(client), status)
    assert client.recv(1) == b""
    assert running_server.app.paths == []
    assert len([record for record in caplog.records if record.name == "keva"]) == 1
    assert running_server.ask(GET).status == 200


REST = b" HTTP/1.1\r\nHost: desk\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (b"patch /x" + REST, "in capitals: send PATCH."),
        (b"Get /x" + REST, "in capitals: send GET."),
        ("GET /x?name=José".encode() + REST, "%C3%A9"),
        ("GET /café".encode("latin-1") + REST, "%C3%A9"),
        (b"GET /a b" + REST, "%20"),
        (b"GET  /x" + REST, "blanks too many"),
        (b"GET /x\tb" + REST, "control character"),
        (b"GET /x\r\n\r\n", "no version"),
        (b"GET /x http/1.1\r\n\r\n", "in capitals: end the first line with HTTP/1.1"),
        (b"GET /x HTTP/3\r\n\r\n", "Only HTTP/1.0 and HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Only HTTP/1.0 and HTTP/1.1"),
        (b"GET x" + REST, "begin it with a slash"),
        (b"CONNECT desk:80" + REST, "begin it with a slash"),
        (b"GET /x HTTP/1.1\nHost: desk\n\n", "CR LF"),
        (b"GET /x HTTP/1.1\rHost: desk\r\r\n\r\n", "CR LF"),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nA: b\nC: d\r\n\r\n", "CR LF"),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nno colon\r\n\r\n", "line 3 has no colon"),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nA : b\r\n\r\n", "line 3 has a header whose name"),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nA: b\x00\r\n\r\n", "line 3 has a header with a control character"),
        (b"GET /x HTTP/1.1\r\nHost: desk\r\nA: b\r\n c\r\n\r\n", "line 4 continues"),
        (b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: a\r\n\r\n", "Content-Length is not a number"),
        (b"GET /x HTTP/1.1\r\n\r\n", "requires the Host header"),
        (b"GET /x HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "Host is sent more than once"),
        (b"GET /x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "Host is sent more than once"),
        (b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n", "Host header is not valid"),
        (b"GET /x HTTP/1.1\r\nHost: user@a\r\n\r\n", "Host header is not valid"),
        (b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n", "Host header is not valid"),
        (b"GET /x HTTP/1.1\r\nHost: a:b\r\n\r\n", "Host header is not valid"),
        (b"GET /x HTTP/1.0\r\nHost: a, b\r\n\r\n", "Host header is not valid"),
    ],
)
def test_a_refusal_names_what_is_wrong(running_server: Running, sent: bytes, named: str) -> None:
    answer = running_server.ask(sent)
    assert is_refusal(answer, 400)
    assert named in answer.json["error"]
    assert "valid HTTP request" not in answer.json["error"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /x HTTP/1.0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: desk.example:8080\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: xn--exmple-cua.example\r\n\r\n",
        b"GET http://desk/x?y HTTP/1.1\r\nHost: desk\r\n\r\n",
    ],
)
def test_a_host_may_be_a_name_an_address_or_empty_and_is_not_needed_before_http_1_1(
    running_server: Running, sent: bytes
) -> None:
    assert running_server.ask(sent).status == 200
    assert running_server.app.paths == ["/x"]


def test_a_head_in_pieces_of_one_byte_is_read_like_a_whole_one(running_server: Running) -> None:
    client = running_server.connect()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"POST /count HTTP/1.1\r\nHost: desk\r\nContent-Length: 2\r\n\r\nab":
        client.sendall(bytes([byte]))
    assert read_answer(client).body == b"2"


def work(head: bytes, size: int) -> int:
    """How many bytes are looked at in a head that arrives in pieces of that size."""
    looked_at = 0

    class Counted(bytearray):
        def find(self, what: bytes, start: int = 0) -> int:
            nonlocal looked_at
            looked_at += len(self) - start
            return super().find(what, start)

    request = RequestParser(Budget(MIB))
    request._raw = Counted()
    for at in range(0, len(head), size):
        request.received(head[at : at + size])
    assert request.completed
    return looked_at


def test_a_head_in_many_pieces_is_looked_at_once() -> None:
    head = b"GET /x HTTP/1.1\r\nHost: desk\r\nA: " + b"a" * 30_000 + b"\r\n\r\n"
    assert work(head, 1) < 5 * len(head)


def test_a_refused_head_request_gets_no_body(running_server: Running) -> None:
    client = running_server.send(b"HEAD /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 99999999\r\n\r\n")
    answer = read_answer(client, "HEAD")
    assert (answer.status, client.recv(1)) == (413, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_refusal_is_logged_with_its_method_path_status_and_sentence(
    running_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    answer = running_server.ask(b"POST /x?q=1 HTTP/1.1\r\nHost: desk\r\nContent-Length: 99999999\r\n\r\n", "POST")
    assert caplog.messages == [f"127.0.0.1 POST /x 413 {answer.json['error']}"]


def test_a_crash_is_logged_and_answered_without_its_reason(
    running_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    answer = running_server.ask(b"GET /crash HTTP/1.1\r\nHost: desk\r\n\r\n")
    assert is_refusal(answer, 500)
    assert b"secret" not in answer.body
    assert "the secret inside" in caplog.text
    assert running_server.ask(GET).status == 200


def test_a_request_before_the_refused_one_is_answered_first(running_server: Running) -> None:
    client = running_server.send(HELD + b"nonsense\r\n\r\n")
    running_server.wait_for_calls(1)
    running_server.app.release.set()
    assert read_answer(client).status == 200
    assert is_refusal(read_answer(client), 400)


def test_nothing_is_served_after_a_crash_on_the_same_connection(running_server: Running) -> None:
    client = running_server.send(b"GET /crash HTTP/1.1\r\nHost: desk\r\n\r\n" + GET)
    assert is_refusal(read_answer(client), 500)
    assert client.recv(1) == b""
    assert running_server.app.paths == ["/crash"]


def test_a_line_made_to_be_slow_to_read_holds_nobody_up(running_server: Running) -> None:
    for slow in (
        b"GET /x HTTP/1.1\r\nHost: desk\r\nA:" + b" " * 32000 + b"b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: desk\r\nA: " + b"b " * 15000 + b"\x01\r\n\r\n",
        b"GET " + b"a://" * 8000 + b" \r\n\r\n",
        b"GET " + b"a" * 32000 + b" \r\n\r\n",
        b"GET a://" + b"1" * 32000 + b" HTTP/one\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: " + b"a" * 32000 + b"@\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: desk\r\n" + (b"A:" + b" " * 199 + b"b" * 100 + b"\r\n") * 99 + b"\r\n",
        b"GET /x HTTP/1.1\r\nHost: desk\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    ):
        begun = time.perf_counter()
        running_server.ask(slow)
        assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    "data", [b"\r\n" * 8, random.Random(1).randbytes(40000), b"\x00" * 40000, b"\xff\r\n\r\n" * 100]
)
def test_garbage_harms_nobody(running_server: Running, data: bytes) -> None:
    client = running_server.send(data)
    client.shutdown(socket.SHUT_WR)
    assert running_server.ask(GET).status == 200


def test_a_body_in_a_few_small_chunks_is_taken_and_one_in_very_many_refused(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: chunked\r\n\r\n"
    end = b"0\r\n\r\n"
    assert running_server.ask(head + b"1\r\na\r\n" * 250 + end).body == b"250"
    assert running_server.ask(head + (b"100\r\n" + b"a" * 256 + b"\r\n") * 2000 + end).body == b"512000"
    answer = running_server.ask(head + b"1\r\na\r\n" * 5_000)
    assert is_refusal(answer, 413)
    assert "small chunks" in answer.json["error"]
    assert is_refusal(running_server.ask(head + b"0\r\n" + b"A: b\r\n" * 5_000), 413)  # as headers after the body


def test_a_path_arrives_with_all_its_slashes(running_server: Running) -> None:
    assert running_server.ask(b"GET //x//y HTTP/1.1\r\nHost: desk\r\n\r\n").status == 200
    assert running_server.app.paths == ["//x//y"]


def test_an_empty_line_after_a_request_is_no_request(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.2)
    client = running_server.send(b"POST /count HTTP/1.1\r\nHost: desk\r\nContent-Length: 1\r\n\r\na\r\n")
    assert read_answer(client).body == b"1"
    time.sleep(0.4)
    client.sendall(GET)
    assert read_answer(client).status == 200
