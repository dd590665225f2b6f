"""A server and an application to try it with, and clients that speak HTTP by hand."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from keva.http import hooks
from keva.http.budget import Budget
from keva.http.channel import Channel
from keva.http.hooks import Aborted
from keva.http.server import Server

MIB = 1024 * 1024
GET = b"GET /x HTTP/1.1\r\nHost: desk\r\n\r\n"
HELD = b"GET /held HTTP/1.1\r\nHost: desk\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(64 * 1024)


class LongAnswer:
    """A body of pieces: how many bytes were made of it, and whether it was closed."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces()
        self.made = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.made += len(piece)
            yield piece

    def close(self) -> None:
        assert not self.closed.is_set()
        self.closed.set()


class App:
    """The application under these tests: it counts its calls, and holds those to /held until `release`."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.release = threading.Event()
        self.answer = b'{"ok": true}'
        self.pieces: Callable[[], Iterator[bytes]] = endless
        self.long: list[LongAnswer] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        sent = len(environ["wsgi.input"].read())
        self.paths.append(path)
        if path == "/held":
            self.release.wait(20)
        if path == "/waiting":
            with hooks.waiting(environ):
                self.release.wait(20)
        if path == "/crash":
            raise RuntimeError("the secret inside")
        if path == "/reset":
            hooks.abort(environ, "reset")
        if path == "/drop":
            raise Aborted
        if path == "/long":
            start_response("200 OK", [("Content-Type", "application/json")])
            self.long.append(LongAnswer(self.pieces))
            return self.long[-1]
        if path == "/partial":
            return self.partial(start_response)
        body = str(sent).encode() if path == "/count" else self.answer
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body[at : at + MIB] for at in range(0, len(body), MIB)]

    def partial(self, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "100")])
        yield b'{"half'
        raise Aborted


@dataclass
class Running:
    app: App
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
    def bodies(self) -> Budget:
        """What is held of large requests under way."""
        return self.server._listener.bodies

    @property
    def answers(self) -> Budget:
        """What is held of answers that wait to be read."""
        return self.server._listener.answers

    @property
    def connections(self) -> int:
        return len(self.channels)

    @property
    def channels(self) -> set[Channel]:
        return self.server._listener.channels

    def release_in_the_stop(self) -> None:
        """Lets go of held calls once the stop has begun."""
        begun = lambda: self.server._listener.draining  # noqa: E731
        threading.Thread(target=lambda: (wait_until(begun), self.app.release.set())).start()

    def wait_for_calls(self, count: int) -> None:
        wait_until(lambda: len(self.app.paths) >= count)


def wait_until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.perf_counter() + seconds
    while not true():
        assert time.perf_counter() < end, "it never came true"
        time.sleep(0.01)


def read_chunks(client: socket.socket) -> Iterator[bytes]:
    """The chunks of a body, whose head was read, to its end; AssertionError when it is cut off."""
    with client.makefile("rb") as file:
        while size := int(file.readline() or pytest.fail("cut off"), 16):
            yield file.read(size)
            assert file.read(2) == b"\r\n", "cut off"
        assert file.readline() == b"\r\n"


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
def running(
    threads: int = 4, host: str = "127.0.0.1", app: App | None = None, trusted_proxy: str | None = None
) -> Iterator[Running]:
    app = app or App()
    served = Server(app, threads=threads, host=host, trusted_proxy=trusted_proxy)
    thread = threading.Thread(target=served.run)
    thread.start()
    running_server = Running(app, served, thread)
    try:
        yield running_server
    finally:
        app.release.set()
        running_server.clients.close()
        running_server.stop()
        assert (running_server.bodies.held, running_server.answers.held) == (0, 0)
        wait_until(lambda: not any(each.name.startswith("keva-") for each in threading.enumerate()))
