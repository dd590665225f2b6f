"""Whose file it is and which tables it has, made from schema.sql."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

from keva.storage import disk
from keva.storage.migrations import COUNTED, MIGRATIONS
from keva.storage.objects import strange_object

APPLICATION_ID = 0x4B657661  # "Keva"
FOR_TESTS_ID = 0x4B657654  # "KevT": a file first made for tests, which may be emptied
VERSION = 8
OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables

# Invariants SQLite cannot enforce, by the version that brought them. Each query returns one sentence per violation.
RULES = {
    1: """
    SELECT 'ticket ' || id || ' has no message' FROM tickets
    WHERE NOT EXISTS (SELECT 1 FROM messages WHERE ticket = tickets.seq)
    """,
    2: f"""
    SELECT 'the number of ' || status || ' tickets of workspace ' || workspace || ' in block ' || block || ' is wrong'
    FROM (SELECT * FROM ({COUNTED}) UNION ALL SELECT * FROM ticket_counts WHERE tickets > 0)
    GROUP BY workspace, block, status HAVING count(*) <> 2 OR min(tickets) <> max(tickets)
    """,
    6: """
    SELECT 'ticket ' || id || ' names another message as its last one' FROM tickets
    WHERE last_message <> (SELECT max(seq) FROM messages WHERE ticket = tickets.seq)
    """,
    7: """
    SELECT 'the table of what was erased has ' || count(*) || ' rows and not one' FROM erased HAVING count(*) <> 1
    """,
}


class NotOurs(Exception):
    """A file that cannot be taken; the message completes the sentence "<path> ..."."""


@cache
def text() -> str:
    """The whole of schema.sql, which stands beside the package in a checkout and inside it in a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "schema.sql"
    return (inside if inside.exists() else package.parent / "schema.sql").read_text(encoding="utf-8")


def version_of(connection: sqlite3.Connection) -> int:
    """The schema's version of a file of ours, 0 for an empty file; NotOurs for a foreign or a newer one."""
    strange = None
    with _at_one_moment(connection):  # another process may be making it
        [(application,)] = connection.execute("PRAGMA application_id").fetchall()
        [(version,)] = connection.execute("PRAGMA user_version").fetchall()
        [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        if application in (APPLICATION_ID, FOR_TESTS_ID) and version <= VERSION:
            strange = strange_object(connection, version, MIGRATIONS)
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application not in (APPLICATION_ID, FOR_TESTS_ID):
        raise NotOurs("belongs to another program: name another file.")
    if version > VERSION:
        raise NotOurs(
            f"was made by a newer version of Keva (schema {version}, this one knows {VERSION}): use that version."
        )
    if strange:  # before any statement on its tables, which might be views, or run a trigger
        raise NotOurs(f"{strange}: restore a backup that you trust, or name another file.")
    return int(version)


def is_untouched(connection: sqlite3.Connection) -> bool:
    """Whether nobody has put anything into it since it was made."""
    [(untouched,)] = connection.execute(
        """
        SELECT NOT EXISTS (SELECT 1 FROM tickets) AND NOT EXISTS (SELECT 1 FROM keys)
          AND NOT EXISTS (SELECT 1 FROM webhooks)
          AND (SELECT count(*) FROM workspaces) = 1 AND (SELECT count(*) FROM users) = 1
        """
    )
    return bool(untouched)


def is_for_tests(connection: sqlite3.Connection) -> bool:
    [(application,)] = connection.execute("PRAGMA application_id").fetchall()
    return bool(application == FOR_TESTS_ID)


def create(connection: sqlite3.Connection, workspace_id: str, user_id: str, now: str, for_tests: bool) -> None:
    """Makes the tables, the first workspace and the first user, in a transaction of its own."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    _run(connection, text())
    connection.execute(f"PRAGMA application_id = {FOR_TESTS_ID if for_tests else APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    first = (workspace_id, "Support", now)
    connection.execute("INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?)", first)
    connection.execute(
        """
        INSERT INTO users (id, email, email_folded, name, created_at)
        VALUES (?, 'support@example.com', 'support@example.com', 'Support', ?)
        """,
        (user_id, now),
    )
    connection.execute("COMMIT")


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Brings the tables from `version` to the next one, in a transaction of its own."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _run(connection, MIGRATIONS[version])
        connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def problems_of(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the file, and what breaks the desk's own rules; empty for a sound one."""
    try:
        version = version_of(connection)  # first of all: it refuses what is not ours to run
        found = [row[0] for row in connection.execute("PRAGMA integrity_check").fetchall() if row[0] != "ok"]
        for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
            found.append(f"row {row} of {table} names one of {parent} that is not there")
        found += _texts_that_are_none(connection)
        rules = [rule for since, rule in RULES.items() if since <= version]
        return found + [row[0] for rule in rules for row in connection.execute(rule).fetchall()]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    except NotOurs as error:
        return [f"the file {error}"]


def _texts_that_are_none(connection: sqlite3.Connection) -> list[str]:
    """Reads every text as a reader would: SQLite stores bytes that are not UTF-8 without a word."""
    tables = connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall()
    rows = {table: _first_unreadable_row(connection, table) for (table,) in tables}
    return [f"row {row} of {table} holds a text that is not UTF-8" for table, row in rows.items() if row]


def _first_unreadable_row(connection: sqlite3.Connection, table: str) -> int | None:
    rows = connection.execute(f"SELECT * FROM {table}")
    for number in count(1):
        try:
            if rows.fetchone() is None:
                break
        except sqlite3.OperationalError as error:
            if not disk.is_no_text(error):
                raise
            return number
    return None


@contextmanager
def _at_one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in _statements(script):
        connection.execute(statement)


def _statements(script: str) -> list[str]:
    """One by one, since `executescript` would commit the open transaction first."""
    statements, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    return statements
