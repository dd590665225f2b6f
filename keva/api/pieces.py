"""Lists as JSON: whole when they are short, and else piece by piece, so that no answer is ever in memory whole."""

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import Protocol

from keva import tickets
from keva.api.registry import Call
from keva.clocks import elapsed
from keva.errors import Unavailable
from keva.identity import Caller
from keva.models import ListQuery
from keva.storage.database import Database

PIECE = 128 * 1024  # characters, and one more ticket or message
# A long page of tickets keeps a reader, and with it one state of the file, which grows meanwhile: only so many at
# once, and for so long. Messages need none, because they never change while they are there.
LONG_PAGES = 8
LONG_PAGE_SECONDS = 60.0

_long_pages = threading.BoundedSemaphore(LONG_PAGES)


class Pieces(Protocol):
    """The parts of a text in their order; `close` once no more are wanted."""

    def __iter__(self) -> Iterator[str]: ...

    def __next__(self) -> str: ...

    def close(self) -> None: ...


def of_page(call: Call) -> str | Pieces:
    """The page of tickets that the call asks for."""
    total, rows = tickets.list_page(call.reader, call.caller, call.query)
    text, _, full = _take(rows)
    if not full or next(rows, None) is None:
        return f'{{"data":[{text}]{_end_of_page(call.query, total)}'
    rows.close()
    # Once more from its start: this reader goes back at the end of the call.
    pieces = _long_page(call.database, call.caller, call.query)
    return _Begun(next(pieces), pieces)


def of_messages(call: Call) -> str | Pieces:
    """All messages of the call's ticket."""
    ticket_id = call.path["ticket_id"]
    rows = tickets.list_messages(call.reader, call.caller, ticket_id)
    text, reached, full = _take(rows)
    # As long as the rows are not closed, this sees the state that they are of.
    last = tickets.last_message(call.reader, ticket_id) if full else reached
    rows.close()
    if reached == last:
        return f'{{"data":[{text}]}}'
    return _Begun(f'{{"data":[{text}', _LongMessages(call.database, call.caller, ticket_id, reached, last))


# What is made here is not kept in a variable over a yield: a thousand answers may stand still there.


def _long_page(database: Database, caller: Caller, query: ListQuery) -> Generator[str, None, None]:
    if not _long_pages.acquire(blocking=False):
        raise Unavailable("Too many long lists are being read: try again in a second.", 1)
    try:
        end = elapsed() + LONG_PAGE_SECONDS
        with database.read() as reader:
            total, rows = tickets.list_page(reader, caller, query)
            yield '{"data":[' + _take(rows)[0]
            while row := next(rows, None):
                if elapsed() > end:
                    raise Unavailable("A long list was not read in time: read it faster, or with a smaller per_page.")
                yield "," + _take(chain([row], rows))[0]
        yield f"]{_end_of_page(query, total)}"
    finally:
        _long_pages.release()


class _LongMessages:
    """The messages after the one that was `reached`, up to the `last`, and the end of the array."""

    def __init__(self, database: Database, caller: Caller, ticket_id: str, reached: int, last: int) -> None:
        self._database, self._caller, self._ticket_id = database, caller, ticket_id
        self._reached, self._last = reached, last
        self._ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._reached < self._last:
            return "," + self._some()
        if self._ended:
            raise StopIteration
        self._ended = True
        return "]}"

    def close(self) -> None:
        """Nothing is kept between two pieces."""

    def _some(self) -> str:
        with self._database.read() as reader:
            rows = tickets.list_messages(reader, self._caller, self._ticket_id, self._reached, self._last)
            with closing(rows):
                text, self._reached, _ = _take(rows)
        if not text:
            raise Unavailable("The desk was emptied while its messages were read: read them again.")
        return text


class _Begun:
    """Pieces of which the first is made."""

    def __init__(self, first: str, rest: Pieces) -> None:
        self._first: str | None = first
        self._rest = rest

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._first is None:
            return next(self._rest)
        first, self._first = self._first, None
        return first

    def close(self) -> None:
        self._rest.close()


def _take(rows: Iterable[tuple[int, str]]) -> tuple[str, int, bool]:
    """Some of the rows as the inside of an array, the seq of the last one, and whether there may be more."""
    taken, size, last = list[str](), 0, 0
    for seq, row in rows:
        taken.append(row)
        last, size = seq, size + len(row)
        if size >= PIECE:
            break
    return ",".join(taken), last, size >= PIECE


def _end_of_page(query: ListQuery, total: int) -> str:
    return f',"pagination":{{"page":{query.page},"perPage":{query.per_page},"total":{total}}}}}'
