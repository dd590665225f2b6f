"""What the service was asked, in order, and what it answered."""

import json
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from werkzeug import datastructures

from keva.clocks import elapsed, wait_until
from keva.log import mask

KEPT = 10_000  # calls
KEPT_BYTES = 64 * 1024 * 1024  # over all of them, with all that each holds
_REQUEST_BYTES, _HEADER_BYTES = 1024, 120  # what one takes beside its texts
_SHOWN = 200  # characters of a path and of a query in a line of the journal
_LONGEST_ERROR = 2000  # characters


class Headers(datastructures.Headers):
    """Case-insensitive; a key in them is whole, and masked when they are shown."""

    def __repr__(self) -> str:
        return mask(super().__repr__())

    def __str__(self) -> str:
        return mask(super().__str__())


@dataclass(repr=False, eq=False)
class Request:
    """One call: `status` is None while it is not answered and when its connection was cut."""

    method: str
    path: str
    query_string: str
    headers: Headers
    body: bytes
    status: int | None = None
    error: str | None = None
    duration: float | None = None
    ended: bool = False
    _began: float = field(default_factory=elapsed)
    _size: int = 0  # while it is kept

    @classmethod
    def of(cls, environ: dict[str, Any], body: bytes) -> "Request":
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        return cls(environ["REQUEST_METHOD"], path, environ["QUERY_STRING"], _headers(environ), body)

    @property
    def query(self) -> dict[str, str]:
        """The parameters by their names; of one that is repeated, the last."""
        return dict(self.queries)

    @property
    def queries(self) -> list[tuple[str, str]]:
        """All parameters, in their order."""
        return parse_qsl(self.query_string, keep_blank_values=True)

    @property
    def json(self) -> Any:
        """What the body holds; a ValueError when that is not JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        answer = "in progress" if not self.ended else "cut off" if self.status is None else str(self.status)
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        asked = f"{self.method} {_cut(self.path)}{f'?{_cut(query)}' if query else ''}"
        return mask(f"<{asked} {answer}{f' {self.error!r}' if self.error else ''}>")


class Journal:
    """The last calls; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque()
        self._bytes = 0
        self._watches: list[_Watch] = []
        self.begun = 0  # calls since it was cleared, those forgotten too
        self._changed = threading.Condition()
        self._closed = False

    def begin(self, request: Request) -> None:
        with self._changed:
            self._requests.append(request)
            self.begun += 1
            request._size = _size(request)
            self._bytes += request._size
            while len(self._requests) > KEPT or self._bytes > KEPT_BYTES:
                self._forget(self._requests.popleft())

    def end(self, request: Request, status: int | None, error: str | None) -> None:
        with self._changed:
            request.status, request.error = status, error and error[:_LONGEST_ERROR]
            request.duration = elapsed() - request._began
            request.ended = True
            if request._size:
                request._size += sys.getsizeof(request.error)
                self._bytes += sys.getsizeof(request.error)
                for watch in self._watches:
                    watch.count += watch.fits(request)
            self._changed.notify_all()

    def requests(self, fits: Callable[[Request], bool]) -> list[Request]:
        with self._changed:
            return [request for request in self._requests if fits(request)]

    def latest(self, count: int) -> list[Request]:
        """The last ones, newest first."""
        with self._changed:
            return list(islice(reversed(self._requests), count))

    def wait_for(self, fits: Callable[[Request], bool], count: int, timeout: float) -> list[Request]:
        """Those that fit and are answered or cut off, once there are `count`, or when `timeout` seconds are over."""
        with self._changed:
            watch = _Watch(fits, len(self._ended(fits)))
            self._watches.append(watch)
            try:
                wait_until(self._changed, lambda: watch.count >= count or self._closed, timeout)
            finally:
                self._watches.remove(watch)
            return self._ended(fits)

    def close(self) -> None:
        """Nobody waits here any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            while self._requests:
                self._forget(self._requests.popleft())
            self.begun = 0
            for watch in self._watches:
                watch.count = 0

    def _ended(self, fits: Callable[[Request], bool]) -> list[Request]:
        return [request for request in self._requests if request.ended and fits(request)]

    def _forget(self, request: Request) -> None:
        self._bytes -= request._size
        request._size = 0


@dataclass(eq=False)
class _Watch:
    """Counts the calls that somebody waits for as they end: to look at all of them each time would take ever longer."""

    fits: Callable[[Request], bool]
    count: int


def _size(request: Request) -> int:
    """The memory that it holds, about: many small headers take far more than the bytes that were sent."""
    headers = sum(sys.getsizeof(name) + sys.getsizeof(value) + _HEADER_BYTES for name, value in request.headers.items())
    return _REQUEST_BYTES + headers + sum(map(sys.getsizeof, (request.path, request.query_string, request.body)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _headers(environ: dict[str, Any]) -> Headers:
    headers = Headers()
    for name, value in environ.items():
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            headers.add(name.removeprefix("HTTP_").replace("_", "-").title(), value)
    return headers
