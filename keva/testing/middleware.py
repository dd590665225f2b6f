"""WSGI middleware for tests: records requests, injects faults, and resets the desk while it runs."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from io import BytesIO
from math import inf
from typing import Any
from urllib.parse import unquote

from keva import errors
from keva.clocks import elapsed, wait_until
from keva.http import hooks
from keva.testing.faults import Fault, Faults, FaultSpec, RequestMatcher
from keva.testing.journal import Headers, Journal, Request

CONTROL_PREFIX = "/__keva__/"  # what is under it is never journaled, faulted or held
_RESET_SECONDS = 2.0
_RESET_MEANWHILE = "The desk was reset while this call was under way: nothing was stored."
_START_OF_AN_ANSWER = b'{"data":'
App = Callable[[dict[str, Any], Any], Iterable[bytes]]
WholeAnswer = tuple[str, list[tuple[str, str]], bytes]
Answer = tuple[str, list[tuple[str, str]], bytes | Iterable[bytes]]


class FaultMiddleware:
    """Stands in front of a WSGI `app` whose paths are `routes`."""

    def __init__(self, app: App, routes: list[str]) -> None:
        self.journal, self.faults = Journal(), Faults()
        self._app = app
        self._routes = [route for route in routes if not route.startswith(CONTROL_PREFIX)]
        self._generation = self._inside = 0
        self._reset_at = 0.0
        self._changed = threading.Condition()

    def arm(self, spec: FaultSpec) -> Fault:
        """Invalid for a path that no request can have."""
        matcher = RequestMatcher(self._routes, spec.method, spec.path, spec.query, spec.request_headers)
        return self.faults.arm(Fault(spec, matcher))

    def requests(self, method: str | None = None, path: str | None = None) -> list[Request]:
        return self.journal.requests(RequestMatcher(self._routes, method, path))

    def wait_for(self, method: str | None, path: str | None, count: int, timeout: float) -> list[Request]:
        return self.journal.wait_for(RequestMatcher(self._routes, method, path), count, timeout)

    @contextmanager
    def between_tests(self) -> Iterator[None]:
        """No call is under way in the block, and what is of the test before is forgotten: its faults, its journal.

        Held requests are let go and store nothing, requests in progress are waited for.
        """
        self.faults.clear()
        with self._changed:
            self._let_go()
            wait_until(self._changed, lambda: self._inside == 0, _RESET_SECONDS)
            yield
            self.journal.clear()
            self._reset_at = elapsed()

    def close(self) -> None:
        """Lets those go that are held and those that wait for calls, for the server to stop."""
        with self._changed:
            self._let_go()
        self.journal.close()

    def note_refusal(self, method: str, path: str, status: int, sentence: str, began: float) -> None:
        """Records a request that was refused by its size or its form before it came here."""
        if not unquote(path).startswith((CONTROL_PREFIX, "/inbox")) and began >= self._reset_at:
            request = Request(method, path, "", Headers(), b"")
            self.journal.begin(request)
            self.journal.end(request, status, sentence)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(CONTROL_PREFIX):
            return self._app(environ, start_response)
        with self._counted() as generation:
            if environ.get(hooks.BEGAN, inf) < self._reset_at:  # a call of the test before, whose body came late
                answer: Answer = _refusal(503, _RESET_MEANWHILE)
            else:
                answer = self._answer(environ, generation)
        status, headers, content = answer
        start_response(status, headers)
        if isinstance(content, bytes):
            return [content] if environ["REQUEST_METHOD"] != "HEAD" else []
        return _UntilReset(content, lambda: self._generation == generation)

    def _answer(self, environ: dict[str, Any], generation: int) -> Answer:
        """The answer of the app or of a fault, recorded."""
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = BytesIO(body)
        request = Request.of(environ, body)
        self.journal.begin(request)
        fault = self.faults.match(request)
        try:
            answer = self._inject(environ, fault, generation) if fault else self._ask(environ)
        except hooks.Aborted:
            self.journal.end(request, None, None)
            raise
        status, _, content = answer
        self.journal.end(request, int(status[:3]), _error_in(status, content))
        return answer

    def _inject(self, environ: dict[str, Any], fault: Fault, generation: int) -> Answer:
        spec = fault.spec
        answer = self._ask_for_all(environ) if spec.when == "after" else None
        if spec.drop:
            hooks.abort(environ, spec.drop, _first_half(answer))
        if spec.delay is not None:
            with hooks.waiting(environ):
                in_time = self._hold(spec.delay, generation)
            if not in_time:
                return _refusal(503, _RESET_MEANWHILE)
            return answer or self._ask(environ)
        content, headers = spec.content()
        return _status_line(spec.status), headers, content

    def _ask(self, environ: dict[str, Any]) -> Answer:
        """The app's own answer, before any of it is sent: whole, or of pieces where it is a long one."""
        started: list[Any] = []
        content = self._app(environ, lambda status, headers, _=None: started.extend((status, headers)))
        return started[0], started[1], b"".join(content) if isinstance(content, list) else content

    def _ask_for_all(self, environ: dict[str, Any]) -> WholeAnswer:
        status, headers, content = self._ask(environ)
        if isinstance(content, bytes):
            return status, headers, content
        with closing(_UntilReset(content, lambda: True)) as pieces:
            return status, headers, b"".join(pieces)

    def _let_go(self) -> None:
        self._generation += 1
        self._changed.notify_all()

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
            return not wait_until(self._changed, lambda: self._generation != generation, seconds)


class _UntilReset:
    """A long answer while it is read; what is left of it after a reset is not of the desk that was asked."""

    def __init__(self, pieces: Iterable[bytes], is_current: Callable[[], bool]) -> None:
        self._pieces, self._is_current = pieces, is_current

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if not self._is_current():
                raise hooks.Aborted
            yield piece

    def close(self) -> None:
        if close := getattr(self._pieces, "close", None):
            close()


def _refusal(status: int, sentence: str) -> WholeAnswer:
    return _status_line(status), [("Content-Type", "application/json")], errors.body(sentence)


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Failed"


def _first_half(answer: WholeAnswer | None) -> bytes:
    """What is sent of an answer that is cut off in the middle."""
    status, _, content = answer or ("200 OK", [], _START_OF_AN_ANSWER * 2)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content[: len(content) // 2]


def _error_in(status: str, content: bytes | Iterable[bytes]) -> str | None:
    """The sentence of a refusal."""
    if status < "4" or not isinstance(content, bytes):
        return None
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")
