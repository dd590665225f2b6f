"""What the service was asked, in order, and what it answered."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from werkzeug import datastructures

from keva.log import mask

KEPT = 10_000  # calls
KEPT_BYTES = 64 * 1024 * 1024  # of bodies, over all of them

# A partial, because a suite that uses freezegun replaces the function itself in every module that holds it.
_now = partial(time.perf_counter)


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
    query: dict[str, str]
    headers: Headers
    body: bytes
    status: int | None = None
    error: str | None = None
    duration: float | None = None
    ended: bool = False
    _began: float = field(default_factory=_now)

    @classmethod
    def of(cls, environ: dict[str, Any], body: bytes) -> "Request":
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        return cls(environ["REQUEST_METHOD"], path, query, _headers(environ), body)

    @property
    def json(self) -> Any:
        """What the body holds; a ValueError when that is not JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        answer = "in progress" if not self.ended else "cut off" if self.status is None else str(self.status)
        query = "?" + "&".join(f"{name}={value}" for name, value in self.query.items()) if self.query else ""
        return mask(f"<{self.method} {self.path}{query} {answer}{f' {self.error!r}' if self.error else ''}>")


class Journal:
    """The last calls; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def begin(self, request: Request) -> None:
        with self._changed:
            self._requests.append(request)
            self._bytes += len(request.body)
            while len(self._requests) > KEPT or self._bytes > KEPT_BYTES:
                self._bytes -= len(self._requests.popleft().body)

    def end(self, request: Request, status: int | None, error: str | None) -> None:
        with self._changed:
            request.status, request.error = status, error
            request.duration = _now() - request._began
            request.ended = True
            self._changed.notify_all()

    def requests(self, fits: Callable[[Request], bool]) -> list[Request]:
        with self._changed:
            return [request for request in self._requests if fits(request)]

    def wait_for(self, fits: Callable[[Request], bool], count: int, timeout: float) -> list[Request]:
        """Those that fit and are answered or cut off, once there are `count`, or when `timeout` seconds are over."""

        def found() -> list[Request]:
            return [request for request in self._requests if request.ended and fits(request)]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count, timeout)
            return found()

    def clear(self) -> None:
        with self._changed:
            self._requests.clear()
            self._bytes = 0
            self._changed.notify_all()


def _headers(environ: dict[str, Any]) -> Headers:
    headers = Headers()
    for name, value in environ.items():
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            headers.add(name.removeprefix("HTTP_").replace("_", "-").title(), value)
    return headers
