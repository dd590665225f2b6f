"""Whose file it is and which tables it has, made from schema.sql."""

import sqlite3
from pathlib import Path

APPLICATION_ID = 0x4B657661  # "Keva"
VERSION = 1


class NotOurs(Exception):
    """What is said of the file, after its name."""


def text() -> str:
    """The whole of schema.sql, which stands beside the package in a checkout and inside it in a wheel."""
    here = Path(__file__).parent
    inside = here / "schema.sql"
    return (inside if inside.exists() else here.parent / "schema.sql").read_text(encoding="utf-8")


def is_new(connection: sqlite3.Connection) -> bool:
    """True for an empty file, False for one of ours; NotOurs for a foreign or a newer one."""
    [(application,)] = connection.execute("PRAGMA application_id").fetchall()
    [(version,)] = connection.execute("PRAGMA user_version").fetchall()
    [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    if application == 0 and version == 0 and tables == 0:
        return True
    if application != APPLICATION_ID:
        raise NotOurs("belongs to another program: name another file with --db.")
    if version > VERSION:
        raise NotOurs(
            f"was made by a newer version of Keva (schema {version}, this one knows {VERSION}): use that version."
        )
    return False


def create(connection: sqlite3.Connection) -> None:
    """Makes the tables, inside the transaction that is open."""
    for statement in _statements(text()):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _statements(script: str) -> list[str]:
    """One by one, since `executescript` would commit the open transaction first."""
    statements, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    return statements
