"""What the page of requests needs to know of a desk for tests, which this room knows nothing else of."""

from collections.abc import Iterable, Sequence
from typing import Protocol


class Headers(Protocol):
    """Names and values of a request's headers."""

    def items(self) -> Iterable[tuple[str, str]]: ...


class Entry(Protocol):
    """A request received; `status` is None while it is not answered, and where its connection was cut."""

    method: str
    path: str
    query_string: str
    body: bytes
    status: int | None
    error: str | None
    duration: float | None
    ended: bool

    @property
    def headers(self) -> Headers: ...


class Journal(Protocol):
    """The requests received since the desk was last made as new; `begun` is their number."""

    begun: int

    def latest(self, count: int) -> Sequence[Entry]: ...
