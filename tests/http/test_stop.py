"""The stop answers what has come in, and leaves nothing."""

import os
import signal
import socket
import threading
import time

import pytest

from keva.http import server
from keva.http.server import Server

from .serving import GET, HELD, App, Running, is_refusal, read_answer, running


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
        assert running_server.stop() < 3
        assert (kept.recv(1), fresh.recv(1), refused.recv(1)) == (b"", b"", b"")
        with pytest.raises(OSError, match="refused"):
            running_server.connect()
    assert (threading.active_count(), descriptors()) == before


def test_it_stops_from_a_signal_handler_and_whoever_is_at_the_door_is_answered() -> None:
    app = App()
    served = Server(app)
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
        client = running_server.send(HELD + GET * 2)
        running_server.wait_for_calls(1)
        client.sendall(GET * 2)
        running_server.release_in_the_stop()
        running_server.stop()
        answers = [read_answer(client) for _ in range(5)]
        assert [answer.headers.get("connection") for answer in answers] == [None] * 4 + ["close"]
        assert client.recv(1) == b""


@pytest.mark.slow
def test_a_call_that_hangs_does_not_hold_up_the_stop() -> None:
    with running(threads=1) as running_server:
        client = running_server.send(HELD)
        running_server.wait_for_calls(1)
        assert running_server.stop() < 4.8
        assert is_refusal(read_answer(client), 503)


def test_what_was_received_before_the_stop_is_answered() -> None:
    with running(threads=1) as running_server:
        clients = [running_server.send(HELD) for _ in range(12)]
        running_server.wait_for_calls(1)
        running_server.release_in_the_stop()
        assert running_server.stop() < 3
        answers = [read_answer(client) for client in clients]
        assert {(answer.status, answer.headers["connection"]) for answer in answers} == {(200, "close")}


def post_in_a_loop(running_server: Running, stopped: threading.Event, lost: list[str]) -> None:
    client = running_server.connect()
    answer, before_the_stop = None, True
    try:
        while not answer or answer.headers.get("connection") != "close":
            client.sendall(b"POST /count HTTP/1.1\r\nHost: desk\r\nContent-Length: 5\r\n\r\nhello")
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
            assert running_server.stop() < 3
            for each in callers:
                each.join()
    assert lost == []


def test_what_is_not_answered_in_time_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.5)
    with running(threads=1) as running_server:
        executing = running_server.send(HELD)
        running_server.wait_for_calls(1)
        queued, incomplete = (
            running_server.send(GET),
            running_server.send(b"POST /x HTTP/1.1\r\nHost: desk\r\nContent-Length: 5\r\n\r\nab"),
        )
        assert running_server.stop() < 3
        for client in (executing, queued, incomplete):
            answer = read_answer(client)
            assert is_refusal(answer, 503)
            assert answer.headers["retry-after"] == "1"
            assert client.recv(1) == b""
        running_server.app.release.set()
        assert running_server.app.paths == ["/held"]


def test_who_was_told_that_it_is_too_late_gets_no_second_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.2)
    monkeypatch.setattr(server, "LAST_WORDS_SECONDS", 1.0)
    with running(threads=1) as running_server:
        client = running_server.send(HELD)
        running_server.wait_for_calls(1)
        queued = running_server.send(GET)
        running_server.server.stop()
        assert is_refusal(read_answer(client), 503)
        running_server.app.release.set()
        assert client.recv(1) == b""
        assert is_refusal(read_answer(queued), 503)
        assert queued.recv(1) == b""
        assert running_server.app.paths == ["/held"]


def test_a_stop_before_the_run_ends_it_at_once() -> None:
    served = Server(App())
    served.stop()
    served.stop()
    begun = time.perf_counter()
    served.run()
    assert time.perf_counter() - begun < 3
    served.stop()
