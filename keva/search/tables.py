"""The tables of the index, and how messages get into them."""

# It has a table of words for each 100,000 messages, and a search reads the newest first: to look up the start of a word
# FTS5 gathers every place of every word that begins so, in the whole table, before it gives the first.
#
# FTS5 writes to its file at every savepoint, and each write of the desk is one: an index in the database would cost
# every create. Messages are only ever added, so the index knows up to which seq it has come, and nothing else. When
# some are erased, which is rare, it is made anew: FTS5 would keep the words of what it is told to delete for a while.

import sqlite3
from typing import Any

from keva.search import words

BATCH = 500  # messages in one transaction
PART = 100_000  # messages in one table of words
BLOCK = 1000  # messages whose earliest and latest time are kept: an import may bring old ones at any time
# Marks of vowels and of a vowel's absence are parts of words in the scripts of India and around it.
_TOKENS = "unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
_WORDS = f"""
CREATE VIRTUAL TABLE IF NOT EXISTS words_{{part}} USING fts5(
  subject, people, body, workspace, content='', columnsize=0, tokenize="{_TOKENS}")
"""
_DAYS = "CREATE TABLE days (block INTEGER PRIMARY KEY, earliest TEXT NOT NULL, latest TEXT NOT NULL)"
_UPTO = "CREATE TABLE upto (desk TEXT NOT NULL, erased INTEGER NOT NULL, seq INTEGER NOT NULL, message TEXT)"


def make(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    _make(connection)
    connection.execute("COMMIT")


def drop_erased(connection: sqlite3.Connection) -> None:
    """Empties it, and leaves no word in the file, where something was erased that it may hold.

    Every connection sees that, and takes all in again.
    """
    if not connection.execute("SELECT upto.erased <> times FROM upto JOIN desk.erased").fetchone()[0]:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for part in parts(connection):
            connection.execute(f"DROP TABLE words_{part}")
        connection.execute("DROP TABLE days")
        connection.execute("DROP TABLE upto")
        _make(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    connection.execute("VACUUM")
    connection.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchall()  # the attached one cannot be written


def _make(connection: sqlite3.Connection) -> None:
    connection.execute(_WORDS.format(part=0))
    connection.execute(_DAYS)
    connection.execute(_UPTO)
    connection.execute(
        """
        INSERT INTO upto SELECT id, times, 0, NULL FROM desk.workspaces JOIN desk.erased ORDER BY workspaces.seq LIMIT 1
        """
    )


def parts(connection: sqlite3.Connection) -> list[int]:
    """The numbers of the tables of words, the newest first: each has the messages from PART times it on."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'").fetchall()
    return sorted((int(name.removeprefix("words_")) for (name,) in rows), reverse=True)


def span(connection: sqlite3.Connection, since: str | None, until: str | None) -> tuple[int, int]:
    """The seqs from and up to which all messages lie that are not before `since` and before `until`."""
    first, last = connection.execute(
        """
        SELECT min(block), max(block) FROM days
        WHERE (:since IS NULL OR latest >= :since) AND (:until IS NULL OR earliest < :until)
        """,
        {"since": since, "until": until},
    ).fetchone()
    return (0, 0) if first is None else (first * BLOCK, (last + 1) * BLOCK)


def is_of_this_desk(connection: sqlite3.Connection) -> bool:
    """False for another database's, told by its first workspace, and for one that is ahead of a restored backup.

    One that is to be emptied because something was erased is this database's all the same.
    """
    found = connection.execute(
        """
        SELECT upto.seq = 0 OR messages.id = upto.message OR upto.erased <> times FROM upto JOIN desk.erased
        JOIN desk.workspaces ON workspaces.id = upto.desk AND workspaces.seq = (SELECT min(seq) FROM desk.workspaces)
        LEFT JOIN desk.messages ON messages.seq = upto.seq
        """
    ).fetchall()
    return bool(found and found[0][0])


def newest(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT ifnull(max(seq), 0) FROM desk.messages").fetchone()[0])


def take_in_a_batch(connection: sqlite3.Connection) -> int:
    """Gives the seq up to which it has come."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        seq = int(connection.execute("SELECT seq FROM upto").fetchone()[0])
        rows = connection.execute(
            """
            SELECT messages.seq, messages.id, subject, customer_email, customer_name, sender_email, sender_name, body,
              workspace
            FROM desk.messages JOIN desk.tickets ON tickets.seq = ticket
            WHERE messages.seq > ? ORDER BY messages.seq LIMIT ?
            """,
            (seq, BATCH),
        ).fetchall()
        if rows:
            seq = _store(connection, rows)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return seq


def _store(connection: sqlite3.Connection, rows: list[Any]) -> int:
    """Stores those of one table, and gives the seq of the last."""
    part = rows[0][0] // PART
    rows = [row for row in rows if row[0] // PART == part]
    connection.execute(_WORDS.format(part=part))
    connection.executemany(
        f"INSERT INTO words_{part} (rowid, subject, people, body, workspace) VALUES (?, ?, ?, ?, ?)", map(_row, rows)
    )
    connection.execute(
        f"""
        INSERT INTO days SELECT seq / {BLOCK}, min(created_at), max(created_at)
        FROM desk.messages WHERE seq BETWEEN ? AND ? GROUP BY 1
        ON CONFLICT DO UPDATE SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)
        """,
        (rows[0][0], rows[-1][0]),
    )
    connection.execute("UPDATE upto SET seq = ?, message = ?", rows[-1][:2])
    return int(rows[-1][0])


def _row(row: Any) -> tuple[int, str, str, str, str]:
    seq, _, subject, *people, body, workspace = row
    who = " ".join(dict.fromkeys(filter(None, people)))
    return seq, words.indexed(subject), words.indexed(who), words.indexed(body), f"w{workspace}"
