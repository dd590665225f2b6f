"""JSON responses."""

from collections.abc import Iterable, Iterator
from typing import Any

from flask import Response


class JsonResponse(Response):
    """A whole body of JSON, sent without Werkzeug's second look at each header, which costs as much as a get."""

    default_mimetype = "application/json"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = self.get_data()
        if self.status_code != 204:
            self.headers["Content-Length"] = str(len(body))
        start_response(self.status, list(self.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class LongJsonResponse(JsonResponse):
    """A body of JSON that is made piece by piece, as the server asks for them."""

    def __init__(self, pieces: Iterator[str]) -> None:
        super().__init__(b"")
        del self.headers["Content-Length"]
        self._pieces = pieces

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(self.status, list(self.headers))
        return _Encoded(self._pieces)


class _Encoded:
    """What WSGI iterates over and closes."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self.close = getattr(pieces, "close", lambda: None)

    def __iter__(self) -> Iterator[bytes]:
        return map(str.encode, self._pieces)  # which keeps none of them
