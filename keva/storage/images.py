"""A whole database as bytes, which can take the place of what another one holds."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

from keva.storage import schema

_VERSIONS = slice(18, 20)  # of the file format (sqlite.org/fileformat2.html): 2 and 2 with a WAL, else 1 and 1


def image_of(connection: sqlite3.Connection) -> bytes:
    """All that the connection sees now."""
    image = bytearray(connection.serialize())
    image[_VERSIONS] = b"\1\1"  # there is no WAL in memory, and SQLite would not open it
    return bytes(image)


def opened(image: bytes) -> sqlite3.Connection:
    """A connection to a copy in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.deserialize(image)
    return connection


def image_of_new(mint: Callable[[str], str], now: str) -> bytes:
    """A database for tests that was made just now."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.create(connection, mint("ws"), mint("user"), now, for_tests=True)
        return image_of(connection)
