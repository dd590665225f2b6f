"""What a file may hold: the tables, indexes and triggers that its schema's version makes, and nothing else."""

import re
import sqlite3
from contextlib import closing
from functools import cache

from keva.storage.migrations import FIRST

Objects = dict[tuple[str, str], str]  # type and name to SQL

# Comments and spaces say nothing, but inside quotes: there they may be what SQLite runs, behind a text made to look so.
# Nor do the spaces around a comma or a parenthesis: ALTER TABLE ADD COLUMN writes others than schema.sql has.
_BLANK = r"(?:--[^\n]*+|\s)"
_QUOTED_OR_BLANK = re.compile(rf"('(?:[^']|'')*+')|{_BLANK}*+([(),]){_BLANK}*+|{_BLANK}++")
_STATISTICS = {("table", "sqlite_stat1"), ("table", "sqlite_stat4")}  # of ANALYZE, which anyone may run


def strange_object(connection: sqlite3.Connection, version: int, migrations: dict[int, str]) -> str | None:
    """Completes the sentence "<path> ..." for a file that holds more, less or something else than its version makes."""
    held, made = _objects(connection), _made_by(tuple(migrations[before] for before in range(1, version)))
    for kind, name in sorted(held.keys() | made.keys(), key=lambda key: (key[0] == "index", key)):
        if (kind, name) not in made:
            return f"holds the {kind} {name!r}, which is not Keva's"
        if (kind, name) not in held:
            return f"lacks the {kind} {name!r}"
        if held[kind, name] != made[kind, name]:
            return f"holds a {kind} {name!r} that is not as Keva makes it"
    return None


@cache
def _made_by(migrations: tuple[str, ...]) -> Objects:
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in (FIRST, *migrations):
            connection.executescript(script)
        return _objects(connection)


def _objects(connection: sqlite3.Connection) -> Objects:
    rows = connection.execute("SELECT type, name, ifnull(sql, '') FROM main.sqlite_schema").fetchall()
    return {(kind, name): _plain(sql) for kind, name, sql in rows if (kind, name) not in _STATISTICS}


def _plain(sql: str) -> str:
    return _QUOTED_OR_BLANK.sub(lambda found: found[1] or found[2] or " ", sql).strip()
