"""How long a client may take to send and to read."""

import os
import time

import pytest

from keva.http import channel, outgoing, server

from .serving import GET, HELD, MIB, Running, is_refusal, read_answer, wait_until


def test_a_head_that_does_not_come_is_given_up(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.3)
    client = running_server.send(b"GET /x HTTP/1.1\r\nHost: desk\r\nA: ")
    assert is_refusal(read_answer(client), 408)
    assert client.recv(1) == b""


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_on_which_nothing_comes_is_closed_in_silence(
    running_server: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.1)
    assert running_server.send(sent).recv(1) == b""
    assert caplog.records == []


def test_a_byte_now_and_then_gains_no_time(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.5)
    client = running_server.connect()
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


def test_a_body_that_does_not_come_is_given_up(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.3)
    client = running_server.send(b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 5\r\n\r\nab")
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
    monkeypatch.setattr(outgoing, "SEND_SECONDS", 1.0)
    running_server.app.answer = b"a" * (20 * MIB)
    deaf = [running_server.send(GET) for _ in range(8)]
    running_server.wait_for_calls(8)
    running_server.app.answer = b"{}"
    assert running_server.ask(GET).body == b"{}"
    assert running_server.connections >= 8  # before any of them was closed
    wait_until(lambda: running_server.connections <= 1)
    for client in deaf:
        with pytest.raises((AssertionError, ConnectionResetError)):
            read_answer(client)


def test_a_large_answer_reaches_who_reads_it_slowly(running_server: Running) -> None:
    running_server.app.answer = os.urandom(8 * MIB)
    client = running_server.send(GET * 2)
    time.sleep(0.3)
    assert read_answer(client).body == running_server.app.answer
    assert read_answer(client).body == running_server.app.answer


def test_the_clock_of_a_suite_that_stopped_it_is_not_ours(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: 0.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(channel, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.2)
    assert running_server.ask(GET).status == 200
    assert is_refusal(running_server.ask(b"GET"), 408)
    running_server.send(HELD)
    wait_until(lambda: running_server.app.paths[-1] == "/held")
    assert running_server.stop() < 3
