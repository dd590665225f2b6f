"""Answers of many pieces: made as they are read, bounded in sum, and always closed."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from keva.http import budget, channel, outgoing, server

from .serving import GET, HELD, MIB, LongAnswer, Running, is_refusal, read_answer, read_chunks, running, wait_until

LONG = b"GET /long HTTP/1.1\r\nHost: desk\r\n\r\n"
OLD = b"GET /long HTTP/1.0\r\n\r\n"
MADE = 16 * MIB  # more than the system takes of an answer that nobody reads


def long_answer(running_server: Running) -> LongAnswer:
    wait_until(lambda: bool(running_server.app.long))
    return running_server.app.long[-1]


def is_cut_off(client: socket.socket) -> bool:
    """The client reads on, and never sees the end of the answer."""
    try:
        read_answer(client)
        for _ in read_chunks(client):
            pass
    except (AssertionError, ConnectionError, pytest.fail.Exception):
        return True
    return False


def ten_pieces() -> Iterator[bytes]:
    for number in range(10):
        yield str(number).encode() * 100_000


WHOLE = b"".join(ten_pieces())


def failing() -> Iterator[bytes]:
    yield b"a" * 1000
    raise RuntimeError("the secret inside")


def test_a_long_answer_comes_in_chunks_and_the_connection_goes_on(running_server: Running) -> None:
    running_server.app.pieces = ten_pieces
    client = running_server.send(LONG)
    answer = read_answer(client)
    assert (answer.status, answer.headers["transfer-encoding"]) == (200, "chunked")
    assert "content-length" not in answer.headers
    assert b"".join(read_chunks(client)) == WHOLE
    client.sendall(GET)
    assert read_answer(client).status == 200
    assert running_server.app.long[0].closed.is_set()


def test_before_http_1_1_a_long_answer_ends_with_its_connection(running_server: Running) -> None:
    running_server.app.pieces = ten_pieces
    client = running_server.send(OLD)
    assert read_answer(client).headers["connection"] == "close"
    assert b"".join(iter(lambda: client.recv(MIB), b"")) == WHOLE


def test_the_head_alone_is_asked_for(running_server: Running) -> None:
    client = running_server.send(LONG.replace(b"GET", b"HEAD"))
    assert read_answer(client, "HEAD").headers["transfer-encoding"] == "chunked"
    client.sendall(GET)
    assert read_answer(client).status == 200
    assert running_server.app.long[0].closed.is_set()


def test_nothing_is_made_that_is_not_read_and_nobody_is_kept_from_a_thread() -> None:
    with running(threads=1) as running_server:
        clients = [running_server.send(LONG) for _ in range(5)]
        wait_until(lambda: len(running_server.app.long) == 5)
        assert running_server.ask(GET).status == 200
        assert all(answer.made < MADE for answer in running_server.app.long)
        for client in clients:
            client.close()
        assert all(answer.closed.wait(10) for answer in running_server.app.long)


def test_a_long_answer_to_a_fast_reader_lets_others_have_their_turn() -> None:
    with running(threads=1) as running_server:
        client = running_server.send(LONG)
        read_answer(client)
        chunks = read_chunks(client)
        other = running_server.send(GET)
        other.setblocking(False)
        for _ in range(10_000):
            next(chunks)
            try:
                assert other.recv(15) == b"HTTP/1.1 200 OK"
                break
            except BlockingIOError:
                continue
        else:
            pytest.fail("it had to wait for the end")
        chunks.close()  # which holds the connection too


def test_an_answer_that_fails_in_the_middle_is_cut_and_told_in_the_log(
    running_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running_server.app.pieces = failing
    client = running_server.send(LONG)
    assert read_answer(client).status == 200
    assert b"".join(iter(lambda: client.recv(MIB), b"")) == b"3E8\r\n" + b"a" * 1000 + b"\r\n"  # without its end
    assert "the secret inside" in caplog.text
    assert running_server.app.long[0].closed.wait(5)


def test_before_http_1_1_an_answer_that_fails_in_the_middle_ends_in_a_reset(running_server: Running) -> None:
    running_server.app.pieces = failing
    client = running_server.send(OLD)
    with pytest.raises(ConnectionResetError):
        b"".join(iter(lambda: client.recv(MIB), b""))


def test_the_stop_cuts_what_is_not_read_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.1)
    with running() as running_server:
        client = running_server.send(LONG)
        answer = long_answer(running_server)
        running_server.stop()
        assert answer.closed.is_set()
        assert is_cut_off(client)


def test_the_stop_closes_an_answer_that_waits_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.1)
    with running(threads=1) as running_server:
        client = running_server.send(LONG)
        read_answer(client)
        answer = long_answer(running_server)
        wait_until(lambda: all(each.paused for each in running_server.channels))
        running_server.send(HELD)
        running_server.wait_for_calls(2)
        chunks = read_chunks(client)
        wait_until(lambda: bool(next(chunks)) and len(running_server.server._workers.queue) == 1, 10)
        running_server.stop()
        assert answer.closed.is_set()
        chunks.close()


def test_an_answer_whose_connection_was_closed_while_it_was_made_is_closed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(server, "LAST_WORDS_SECONDS", 5.0)
    sent = threading.Event()
    with running() as running_server:

        def pieces() -> Iterator[bytes]:
            yield b"a"
            sent.wait(10)
            client.close()  # so that the stop waits for the worker alone
            wait_until(lambda: not running_server.channels)
            running_server.answers.overdraw(1 << 40)  # and the piece would have to wait for room
            yield b"b" * 300_000

        running_server.app.pieces = pieces
        client = running_server.send(LONG)
        sent.set()
        answer = long_answer(running_server)
        wait_until(lambda: answer.made > 0)
        monkeypatch.setattr(server.Server, "_channels", lambda self: closed_at_once(self._listener.channels))
        running_server.stop()
        assert answer.closed.is_set()
        running_server.answers.release(1 << 40)


def closed_at_once(channels: set[channel.Channel]) -> list[channel.Channel]:
    for each in list(channels):
        each.handle_close()
    return []


def test_a_client_that_resets_its_connection_is_no_failure(
    running_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    client = running_server.send(LONG)
    read_answer(client)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert long_answer(running_server).closed.wait(5)
    assert caplog.records == []


def exhaust(running_server: Running) -> socket.socket:
    """A client that does not read, and whose answer has taken all the room that there is."""
    running_server.answers.size = 100 * 1024
    client = running_server.send(LONG)
    wait_until(lambda: running_server.answers.held > 0 and all(each.paused for each in running_server.channels))
    return client


def test_without_room_large_answers_are_refused_and_small_ones_go_on(running_server: Running) -> None:
    client = exhaust(running_server)
    running_server.app.answer = b"a" * 300_000
    answer = running_server.ask(GET)
    assert is_refusal(answer, 503)
    assert answer.headers["retry-after"] == "1"
    running_server.app.answer = b"{}"
    assert running_server.ask(GET).status == 200
    client.close()
    wait_until(lambda: running_server.answers.held == 0)
    running_server.app.answer = b"a" * 300_000
    assert running_server.ask(GET).body == running_server.app.answer


def test_what_was_stored_is_told_even_without_room(running_server: Running) -> None:
    exhaust(running_server)
    running_server.app.answer = b"a" * 300_000
    assert running_server.ask(GET.replace(b"GET", b"POST")).body == running_server.app.answer


def test_an_answer_under_way_waits_for_room_and_goes_on(running_server: Running) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"begun, "
        running_server.answers.overdraw(1 << 40)
        yield b"a" * 300_000

    running_server.app.pieces = pieces
    client = running_server.send(LONG)
    read_answer(client)
    chunks = read_chunks(client)
    assert next(chunks) == b"begun, "
    wait_until(lambda: running_server.app.long[0].made > 300_000)
    assert running_server.ask(GET).status == 200
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(10)
    running_server.answers.release(1 << 40)
    assert b"".join(chunks) == b"a" * 300_000


def test_who_stops_reading_is_cut_off(running_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "SEND_SECONDS", 0.3)
    client = running_server.send(LONG)
    assert long_answer(running_server).closed.wait(10)
    assert is_cut_off(client)


def test_who_reads_slowly_is_cut_off_once_others_wait_for_room(
    running_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 0.0
    for module in (outgoing, budget):
        monkeypatch.setattr(module, "now", lambda: moment)
    monkeypatch.setattr(outgoing, "SEND_BYTES", 0)
    client = running_server.send(LONG)
    read_answer(client)
    answer, chunks = long_answer(running_server), read_chunks(client)
    for _ in range(10):
        next(chunks)  # less than the system keeps for the client, so that more always waits
        moment += 10.0
        assert not answer.closed.wait(0.06)
    for _ in range(20):
        running_server.answers.note_want()
        moment += 10.0
        if answer.closed.wait(0.06):
            break
        next(chunks)
    assert answer.closed.is_set()
    chunks.close()
