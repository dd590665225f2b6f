"""Lists as JSON: whole when they are short, and else piece by piece, so that no answer is ever in memory whole."""

import threading
import time
from collections.abc import Generator
from contextlib import closing
from functools import partial

from keva import tickets
from keva.api.registry import Call
from keva.errors import Unavailable
from keva.identity import Caller
from keva.models import ListQuery
from keva.storage.database import Database

Pieces = Generator[str, None, None]

PIECE = 128 * 1024  # characters, and one more ticket or message
# A long page of tickets keeps a reader, and with it one state of the file, which grows meanwhile: only so many at
# once, and for so long. Messages need none, because they never change.
LONG_PAGES = 8
LONG_PAGE_SECONDS = 60.0

_long_pages = threading.BoundedSemaphore(LONG_PAGES)
_now = partial(time.monotonic)  # a partial, because freezegun replaces the function in every module that holds it


def of_page(call: Call) -> str | Pieces:
    """The page of tickets that the call asks for."""
    total, rows = tickets.list_page(call.reader, call.caller, call.query)
    text, _, full = _take(rows)
    if not full or next(rows, None) is None:
        return f'{{"data":[{text}]{_end_of_page(call.query, total)}'
    rows.close()
    # Once more from its start: this reader goes back at the end of the call.
    return _started(_long_page(call.database, call.caller, call.query))


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
    return _started(_long_messages(f'{{"data":[{text}', call.database, call.caller, ticket_id, reached, last))


def _long_page(database: Database, caller: Caller, query: ListQuery) -> Pieces:
    if not _long_pages.acquire(blocking=False):
        raise Unavailable("Too many long lists are being read: try again in a second.", 1)
    try:
        end, separator = _now() + LONG_PAGE_SECONDS, '{"data":['
        with database.read() as reader:
            total, rows = tickets.list_page(reader, caller, query)
            full = True
            while full:
                text, _, full = _take(rows)
                yield separator + text if text else ""
                separator = ","
                if _now() > end:
                    raise Unavailable("A long list was not read in time: read it faster, or with a smaller per_page.")
        yield f"]{_end_of_page(query, total)}"
    finally:
        _long_pages.release()


def _long_messages(begun: str, database: Database, caller: Caller, ticket_id: str, reached: int, last: int) -> Pieces:
    yield begun
    while reached < last:
        with (
            database.read() as reader,
            closing(tickets.list_messages(reader, caller, ticket_id, reached, last)) as rows,
        ):
            text, reached, _ = _take(rows)
        if not text:
            raise Unavailable("The desk was emptied while its messages were read: read them again.")
        yield f",{text}"
    yield "]}"


def _take(rows: tickets.Rows) -> tuple[str, int, bool]:
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


def _started(pieces: Pieces) -> Pieces:
    """The same pieces; what goes wrong before the first of them is raised now, and can still be answered."""
    first = next(pieces)

    def all_of_them() -> Pieces:
        with closing(pieces):
            yield first
            yield from pieces

    return all_of_them()
