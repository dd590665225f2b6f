"""Several applications on one server: each at its own address, by the same loop and the same threads."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keva.errors import AddressUnusable
from keva.http import listener
from keva.http.server import Server

from .serving import GET, read_answer


def says(text: str) -> Callable[..., list[bytes]]:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(text).encode()]

    return app


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(says("first"), threads=2)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.stop()
    thread.join(10)


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5)


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def test_each_application_answers_at_its_own_address_and_no_thread_is_added(server: Server) -> None:
    before = threading.active_count()
    urls = [server.add(says(name)) for name in "abc"]
    assert len({server.url, *urls}) == 4
    assert [ask(url) for url in [server.url, *urls]] == ["first", "a", "b", "c"]
    assert threading.active_count() == before


def test_one_that_is_removed_accepts_no_more_and_its_connections_are_closed(server: Server) -> None:
    url, other = server.add(says("a")), server.add(says("b"))
    with connect(url) as connection:
        connection.sendall(GET)
        assert read_answer(connection).json == "a"
        server.remove(url)
        assert connection.recv(1) == b""
    with pytest.raises(urllib.error.URLError):
        ask(url)
    assert (ask(other), ask(server.url)) == ("b", "first")


def test_a_call_under_way_when_its_application_is_removed_ends_with_its_connection(server: Server) -> None:
    held, go = threading.Event(), threading.Event()

    def holds(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        held.set()
        assert go.wait(10)
        return says("late")(environ, start_response)

    url = server.add(holds)
    with connect(url) as connection:
        connection.sendall(GET)
        assert held.wait(5)
        server.remove(url)
        go.set()
        assert connection.recv(1) == b""
    assert ask(server.url) == "first"


def test_the_calls_on_one_connection_are_answered_one_after_the_other(server: Server) -> None:
    with connect(server.add(says("a"))) as connection:
        for _ in range(20):
            connection.sendall(GET)
            assert read_answer(connection).json == "a"


def test_an_address_that_cannot_be_had_leaves_nothing_behind(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(24, "Too many open files")

    before = len(server._map)
    with monkeypatch.context() as patched:
        patched.setattr(listener.Listener, "bind_server_socket", none_left)
        with pytest.raises(AddressUnusable):
            server.add(says("a"))
    assert len(server._map) == before
    assert ask(server.add(says("b"))) == "b"


def test_a_stop_ends_all_of_them(server: Server) -> None:
    url = server.add(says("a"))
    with connect(url) as connection:
        server.stop()
        assert connection.recv(1) == b""
    with pytest.raises(urllib.error.URLError):
        ask(url)
