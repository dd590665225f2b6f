"""A receiver of webhooks: keeps what came, answers as it is told, and misbehaves on request."""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Call:
    """One delivery, as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


def status(number: int, *headers: str, body: str = "") -> bytes:
    head = [f"HTTP/1.1 {number} Said", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(head).encode()


class Receiver:
    """Listens on a free port, or on `port`; `answer` gives the bytes that a call gets, or does what it likes with the
    connection and gives None, which closes it."""

    def __init__(self, answer: Callable[[Call, socket.socket], bytes | None] = lambda *_: OK, port: int = 0) -> None:
        self.answer = answer
        self._calls: list[Call] = []
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._open: set[socket.socket] = set()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/keva"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def calls(self) -> list[Call]:
        with self._changed:
            return list(self._calls)

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Call]:
        """The calls, once there are so many."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._calls) >= count, seconds)
            assert came, f"{len(self._calls)} of {count} came"
            return list(self._calls)

    def wait_until(self, true: Callable[[list[Call]], Any], seconds: float = 20.0) -> list[Call]:
        with self._changed:
            assert self._changed.wait_for(lambda: true(self._calls), seconds), "it did not come"
            return list(self._calls)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, EOFError):
            reading = connection.makefile("rb")
            while call := self._read(reading):
                answer = self._answer_to(call, connection)
                if answer is None:
                    break
                connection.sendall(answer)
        self._open.discard(connection)

    def _answer_to(self, call: Call, connection: socket.socket) -> bytes | None:
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
        return self.answer(call, connection)

    def _read(self, reading: Any) -> Call | None:
        line = reading.readline()
        if not line:
            return None
        headers = {}
        while (header := reading.readline().strip()) != b"":
            name, _, value = header.decode("latin-1").partition(": ")
            headers[name.lower()] = value
        body = reading.read(int(headers["content-length"]))
        if len(body) < int(headers["content-length"]):
            return None  # the sender was killed meanwhile
        return Call(line.decode().strip(), headers, body)


def drip(connection: socket.socket, data: bytes, seconds: float = 0.05) -> None:
    """Sends a byte at a time, for ever."""
    connection.sendall(data)
    while True:
        connection.sendall(b"x")
        time.sleep(seconds)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
