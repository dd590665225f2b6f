"""How large a request may be, and all of them together."""

import threading

import pytest

from keva.http import channel, parser

from .serving import CHUNKED, GET, HELD, MIB, Running, is_refusal, read_answer, running, wait_until


def test_a_body_of_four_mebibytes_is_taken_and_one_byte_more_refused(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nHost: desk\r\nContent-Length: %d\r\n\r\n"
    assert running_server.ask(head % (4 * MIB) + b"a" * (4 * MIB)).body == b"%d" % (4 * MIB)
    assert is_refusal(running_server.ask(head % (4 * MIB + 1)), 413)


def test_chunks_of_four_mebibytes_are_taken_and_one_byte_more_refused(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    assert running_server.ask(head + chunk * 64 + b"0\r\n\r\n").body == b"%d" % (4 * MIB)
    assert is_refusal(running_server.ask(head + chunk * 64 + b"1\r\n"), 413)


def test_a_body_over_four_mebibytes_is_refused_and_the_client_reads_why(running_server: Running) -> None:
    whole = b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 5000000\r\n\r\n" + b"a" * 5_000_000
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
    start = b"GET /x HTTP/1.1\r\nHost: desk\r\nA: "
    assert running_server.ask(start + b"a" * (32 * 1024 - len(start) - 4) + b"\r\n\r\n").status == 200
    assert running_server.ask(start + b"a" * (32 * 1024 - len(start) - 3) + b"\r\n\r\n").status == 431


def test_a_hundred_headers_are_taken_and_one_more_refused(running_server: Running) -> None:
    start = b"GET /x HTTP/1.1\r\nHost: desk\r\n"
    assert running_server.ask(start + b"A: b\r\n" * 99 + b"\r\n").status == 200
    assert is_refusal(running_server.ask(start + b"A: b\r\n" * 100 + b"\r\n"), 431)


def test_heads_count_in_the_sum_of_large_requests(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running_server.bodies.size = 128 * 1024
    head = b"POST /count HTTP/1.1\r\nHost: desk\r\nContent-Length: 1\r\nA: " + b"a" * 31_000 + b"\r\n\r\n"
    waiting = [running_server.send(head) for _ in range(2)]
    wait_until(lambda: running_server.bodies.held > 90_000)
    assert is_refusal(running_server.ask(head), 503)
    assert running_server.ask(GET).status == 200
    for client in waiting:
        client.sendall(b"a")
        assert read_answer(client).body == b"1"


def test_continue_is_said_to_who_may_and_not_to_who_is_refused(running_server: Running) -> None:
    head = b"POST /count HTTP/1.1\r\nHost: desk\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    client = running_server.send(head % 3)
    assert read_answer(client).status == 100
    client.sendall(b"abc")
    assert read_answer(client).body == b"3"
    assert running_server.ask(head % 5_000_000).status == 413
    assert running_server.ask(b"GET /x HTTP/1.1\r\nHost: desk\r\nExpect: 100-continue\r\n\r\n").status == 200


def test_large_bodies_under_way_are_bounded_in_sum_and_small_ones_get_through(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "SMALL_REQUEST", 1200)
    head = b"POST /count HTTP/1.1\r\nHost: desk\r\nContent-Length: %d\r\n\r\n"
    running_server.bodies.size = MIB
    counted = MIB - 200 + 2 * len(head % (MIB + 1000)) - 1
    first = running_server.send(head % (MIB + 1000) + b"a" * (MIB + 999))
    wait_until(lambda: running_server.bodies.held == counted)
    answer = running_server.ask(head % 2000 + b"a" * 2000)
    assert is_refusal(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert running_server.ask(head % 1000 + b"a" * 1000).body == b"1000"
    first.sendall(b"a")
    assert read_answer(first).body == b"%d" % (MIB + 1000)
    wait_until(lambda: running_server.bodies.held == 0)
    assert running_server.ask(head % 2000 + b"a" * 2000).body == b"2000"


def test_what_a_body_took_of_the_sum_is_given_back_however_it_ends(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "SMALL_REQUEST", 0)
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.3)
    chunked = CHUNKED + b"fff\r\n" + b"a" * 0xFFF
    sized = b"POST %s HTTP/1.1\r\nHost: desk\r\nContent-Length: 4095\r\n\r\n"
    running_server.send(sized % b"/x" + b"a" * 1000).close()  # gone in the middle
    assert running_server.ask(sized % b"/x" + b"a" * 1000).status == 408
    assert running_server.ask(chunked + b"bad\r\n").status == 400
    assert running_server.ask(chunked + b"\r\nffffff\r\n").status == 413
    assert running_server.ask(sized % b"/crash" + b"a" * 4095).status == 500
    assert running_server.send(sized % b"/drop" + b"a" * 4095).recv(1) == b""
    client = running_server.send((sized % b"/count" + b"a" * 4095) * 3 + GET)
    assert [read_answer(client).status for _ in range(4)] == [200] * 4
    gone = running_server.send(sized % b"/held" + b"a" * 4095)
    wait_until(lambda: running_server.app.paths[-1] == "/held")
    assert running_server.bodies.held == 4095 + 2 * len(sized % b"/held")
    gone.close()
    running_server.app.release.set()
    wait_until(lambda: running_server.bodies.held == 0)


def test_a_refused_body_is_let_go_of_before_a_thread_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "SMALL_REQUEST", 0)
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.5)
    with running(threads=1) as running_server:
        running_server.send(HELD)
        running_server.wait_for_calls(1)
        held = running_server.bodies.held
        for what_follows in (b"bad\r\n", b""):
            client = running_server.send(CHUNKED + b"5\r\nhello")
            wait_until(lambda: running_server.bodies.held == held + 5 + 2 * len(CHUNKED))
            client.sendall(what_follows)
            wait_until(lambda: running_server.bodies.held == held)
