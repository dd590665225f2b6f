"""Finds tickets by the words of their messages, the newest match first."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

from keva import conversations, people
from keva.conversations import NEWEST, Filter
from keva.identity import Caller
from keva.search.index import SearchIndex
from keva.search.query import NOBODY, Query
from keva.search.statement import ROWS, Statement
from keva.storage.database import Database

CATCH_UP_SECONDS = 0.3
_GLANCE_SECONDS = 0.02  # for what is beside a page, and may be behind
LONGEST = 2.0  # seconds that one search may take
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock


@dataclass(frozen=True)
class Found:
    """The seqs of messages, the newest match of each ticket, and where the next page begins, None at the end.

    `indexed` is the share of all messages that could be searched; `cut` tells that it took too long and was ended.
    """

    messages: list[int]
    before: int | None = None
    indexed: float = 1.0
    cut: bool = False


def find(
    index: SearchIndex,
    database: Database,
    caller: Caller,
    query: Query,
    before: int = NEWEST,
    limit: int = 40,
    wanted: Filter = Filter(),  # noqa: B008
) -> Found:
    """At most `limit` tickets of the filter with a message that matches below the seq `before`.

    IndexMissing where there is nothing to search in.
    """
    indexed = index.catch_up(CATCH_UP_SECONDS)
    if indexed < 1:
        index.fill_in_background()
    if query.is_empty:
        return Found([], indexed=indexed)
    statement = Statement(caller, query, _assignees(database, caller, query.assigned))
    statement.within(wanted)
    with index.reading() as connection:
        return _search(connection, statement, before, limit, indexed)


def of_customer(index: SearchIndex, caller: Caller, email: str, limit: int) -> list[int]:
    """The last messages of the customer's tickets, the newest first; an index of all emails would cost every create."""
    if index.catch_up(_GLANCE_SECONDS) < 1:
        index.fill_in_background()
    quoted = email.replace('"', '""')
    statement = Statement(caller, Query(match=f'{{people}} : "{quoted}"'), [])
    statement.require("customer_email = :customer COLLATE NOCASE", {"customer": email})
    with index.reading() as connection:
        return _search(connection, statement, NEWEST, limit, 1.0).messages


def _assignees(database: Database, caller: Caller, named: set[str]) -> list[str]:
    """Whom `assigned:` means: the text itself, the caller ("me"), and users of such a name or email."""
    found = set(named) - {NOBODY}
    if not found:
        return []
    with database.read() as reader:
        users, assignees = people.colleagues(reader, caller), conversations.assignees(reader)
    for user in users:
        shown = f"{user.name} {user.email}".casefold()
        if any(name in shown or (name == "me" and user.id == caller.key) for name in named):
            found.add(user.id.casefold())
    return [name for name in assignees if name.casefold() in found]


def _search(connection: sqlite3.Connection, statement: Statement, start: int, limit: int, indexed: float) -> Found:
    """Reads on until it is known whether there are more; one that an earlier page has shown is left out."""
    end = time.perf_counter() + LONGEST
    connection.set_progress_handler(lambda: time.perf_counter() > end, _STEPS)
    found: dict[int, int] = {}
    try:
        statement.narrow(connection)
        for seq, ticket in _matches(connection, statement, start):
            if ticket not in found and (start == NEWEST or not statement.has_newer(connection, ticket, start)):
                found[ticket] = seq
            if len(found) > limit:
                break
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return Found(list(found.values())[:limit], None, indexed, cut=True)
    shown = list(found.values())[:limit]
    return Found(shown, shown[-1] if len(found) > limit else None, indexed)


def _matches(connection: sqlite3.Connection, statement: Statement, before: int) -> Iterator[tuple[int, int]]:
    """Every matching message below the seq `before` with its ticket, newest first."""
    for part in statement.parts(connection, before):
        rows = statement.newest(connection, part, before)
        while rows:
            yield from rows
            rows = statement.newest(connection, part, rows[-1][0]) if len(rows) == ROWS else []
