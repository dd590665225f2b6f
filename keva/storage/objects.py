"""What a file may hold: the tables, indexes and triggers that its schema's version makes, and nothing else."""

import re
import sqlite3
from contextlib import closing
from functools import cache, lru_cache

from keva.storage.migrations import FIRST

Objects = dict[tuple[str, str], str]  # type and name to SQL

# Comments and spaces mean nothing outside quotes. Inside, a text made to look like a comment may hide what SQLite runs.
# Possessive (*+): no text can be made that takes more than one pass.
_BLANKS = r"(?:--[^\n]*+|\s)"
_QUOTED_OR_LAYOUT = re.compile(rf"('(?:[^']|'')*+')|{_BLANKS}*+([(),]){_BLANKS}*+|{_BLANKS}++")
_LONGEST_NAME = 60  # characters of it that are shown
_STATISTICS = {("table", "sqlite_stat1"), ("table", "sqlite_stat4")}  # of ANALYZE, which anyone may run
# Litestream keeps them in each file that it replicates, and so in what it restores.
_OF_LITESTREAM: Objects = {
    ("table", "_litestream_seq"): "CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY,seq INTEGER)",
    ("table", "_litestream_lock"): "CREATE TABLE _litestream_lock(id INTEGER)",
}


def strange_object(connection: sqlite3.Connection, version: int, migrations: dict[int, str]) -> str | None:
    """Completes the sentence "<path> ..." for a file that holds more, less or something else than its version makes."""
    held, made = _objects(connection), _made_by(tuple(migrations[before] for before in range(1, version)))
    for key in sorted(held.keys() | made.keys(), key=_indexes_last):
        named = f"{key[0]} {key[1][:_LONGEST_NAME]!r}"
        if key not in made and held[key] != _OF_LITESTREAM.get(key):
            return f"holds the {named}, which is not Keva's"
        if key not in held:
            return f"lacks the {named}"
        if key in made and held[key] != made[key]:
            return f"holds a {named} that is not as Keva makes it"
    return None


def _indexes_last(key: tuple[str, str]) -> tuple[bool, str, str]:
    """Those that SQLite makes for a table are strange when the table is, which says more."""
    return (key[0] == "index", *key)


@cache
def _made_by(migrations: tuple[str, ...]) -> Objects:
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in (FIRST, *migrations):
            connection.executescript(script)
        return _objects(connection)


def _objects(connection: sqlite3.Connection) -> Objects:
    rows = connection.execute("SELECT type, name, ifnull(sql, '') FROM main.sqlite_schema").fetchall()
    return {(kind, name): _without_layout(sql) for kind, name, sql in rows if (kind, name) not in _STATISTICS}


@lru_cache(256)
def _without_layout(sql: str) -> str:
    """As SQLite would have it, whether schema.sql made it or an ALTER TABLE of a migration added to it."""
    return _QUOTED_OR_LAYOUT.sub(lambda found: found[1] or found[2] or " ", sql).strip()
