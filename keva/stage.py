"""A service on stage: it keeps what it was asked, fails when told to, and can be made as new under way."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from io import BytesIO
from typing import Any

from waitress.channel import ClientDisconnected

from keva import errors
from keva.clock import Clock
from keva.faults import DROPS, Calls, Delay, Drop, Failing, Fault, Faults, failing
from keva.journal import Headers, Journal, Request

UNSEEN = "/__keva__/"  # what is under it is never journaled, faulted or held
_RESET_SECONDS = 2.0
_SEND_SECONDS = 5.0
_LET_GO = "The desk was reset while this call was held; nothing was stored."
_START_OF_AN_ANSWER = b'{"data":'
App = Callable[[dict[str, Any], Any], Iterable[bytes]]
Answer = tuple[str, list[tuple[str, str]], bytes]


class Stage:
    """Stands in front of a WSGI `app` whose paths are `routes`; `empty` makes the desk behind it as new."""

    def __init__(self, app: App, routes: list[str], clock: Clock, empty: Callable[[], None]) -> None:
        self.clock, self.journal, self.faults = clock, Journal(), Faults()
        self._app, self._empty = app, empty
        self._routes = [route for route in routes if not route.startswith(UNSEEN)]
        self._generation = self._inside = 0
        self._changed = threading.Condition()

    # What a test asks of it

    def calls(self, method: str | None, path: str | None) -> Calls:
        return Calls(self._routes, method, path)

    def fail(self, status: int, body: Any, headers: Mapping[str, str] | None, **which: Any) -> Fault:
        return self._arm(failing(status, body, headers), **which)

    def delay(self, seconds: float, **which: Any) -> Fault:
        if not 0 <= seconds <= 3600:
            raise errors.Invalid("A delay is of 0 to 3600 seconds.")
        return self._arm(Delay(seconds), **which)

    def drop(self, how: str, **which: Any) -> Fault:
        if how not in DROPS:
            raise errors.Invalid(f"A connection is dropped by {', '.join(DROPS)}, not by {how!r}.")
        return self._arm(Drop(how), **which)

    def requests(self, method: str | None = None, path: str | None = None) -> list[Request]:
        calls = self.calls(method, path)
        return self.journal.requests(lambda request: calls(request.method, request.path))

    def wait_for(self, method: str | None, path: str | None, count: int, timeout: float) -> list[Request]:
        calls = self.calls(method, path)
        return self.journal.wait_for(lambda request: calls(request.method, request.path), count, timeout)

    def reset(self) -> None:
        """As new: what is held is let go and stores nothing, what is under way is waited for."""
        self.faults.clear()
        with self._changed:
            self._generation += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._inside == 0, _RESET_SECONDS)
            self.clock.unfreeze()
            self._empty()
            self.journal.clear()

    def close(self) -> None:
        """Lets go what is held, for the server to stop."""
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    def note_refusal(self, method: str, path: str, status: int, sentence: str) -> None:
        """A call that was refused before it came here, by its size or its form: what is known of it."""
        if not path.startswith(UNSEEN):
            request = Request(method, path, {}, Headers(), b"")
            self.journal.begin(request)
            self.journal.end(request, status, sentence)

    # What a call goes through

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(UNSEEN):
            return self._app(environ, start_response)
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = BytesIO(body)
        request = Request.of(environ, body)
        with self._counted() as generation:
            self.journal.begin(request)
            fault = self.faults.meeting(request.method, request.path)
            try:
                answer = self._play(environ, fault, generation) if fault else self._ask(environ)
            except ClientDisconnected:
                self.journal.end(request, None, None)
                raise
            status, headers, content = answer
            self.journal.end(request, int(status[:3]), _error_in(status, content))
        start_response(status, headers)
        return [content] if request.method != "HEAD" else []

    def _play(self, environ: dict[str, Any], fault: Fault, generation: int) -> Answer:
        answer = self._ask(environ) if fault.when == "after" else None
        match fault.what:
            case Failing() as failure:
                return f"{failure.status} {_reason(failure.status)}", list(failure.headers), failure.body
            case Delay(seconds):
                if not self._hold(seconds, generation):
                    return _answer(503, _LET_GO)
                return answer or self._ask(environ)
            case Drop(how):
                with suppress(OSError):  # the client has gone by itself
                    _cut(environ, how, answer)
        raise ClientDisconnected

    def _arm(
        self,
        what: Failing | Delay | Drop,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        when: str = "before",
    ) -> Fault:
        return self.faults.arm(Fault(what, self.calls(method, path), times, skip, when))

    def _ask(self, environ: dict[str, Any]) -> Answer:
        """The app's own answer, whole, before any of it is sent."""
        started: list[Any] = []
        content = self._app(environ, lambda status, headers, _=None: started.extend((status, headers)))
        try:
            return started[0], started[1], b"".join(content)
        finally:
            if hasattr(content, "close"):
                content.close()

    @contextmanager
    def _counted(self) -> Iterator[int]:
        with self._changed:
            self._inside += 1
            generation = self._generation
        try:
            yield generation
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def _hold(self, seconds: float, generation: int) -> bool:
        """Waits; False when a reset came meanwhile."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._generation != generation, seconds)


def _answer(status: int, sentence: str) -> Answer:
    return f"{status} {_reason(status)}", [("Content-Type", "application/json")], errors.body(sentence)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Failed"


def _cut(environ: dict[str, Any], how: str, answer: Answer | None) -> None:
    """Readies the connection for its end, which raising ClientDisconnected brings."""
    connection: socket.socket = environ["keva.connection"]
    if how == "reset":  # closing with unsent time of zero resets (socket(7), SO_LINGER)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == "partial":
        status, _, content = answer or ("200 OK", [], _START_OF_AN_ANSWER * 2)
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.settimeout(_SEND_SECONDS)
        connection.sendall(head.encode() + content[: len(content) // 2])


def _error_in(status: str, content: bytes) -> str | None:
    """The sentence of a refusal."""
    if status < "4":
        return None
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")
