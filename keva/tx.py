"""Statements on one connection: those that read, and those that are stored together at one moment."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keva import disk

Params = Sequence[Any] | Mapping[str, Any]


class Read:
    """Each statement sees the last commit; Unavailable where the disk fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self, sql: str, params: Params = ()) -> list[Any]:
        """Every row: a cursor read by halves would keep the WAL from being written anew."""
        try:
            return self._connection.execute(sql, params).fetchall()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise disk.unavailable(error) from error

    def one(self, sql: str, params: Params = ()) -> Any:
        """The first row, or None."""
        rows = self.all(sql, params)
        return rows[0] if rows else None


class Write(Read):
    """`now` is the moment of all that is written, as the API shows it; `mint` makes an id of a prefix."""

    def __init__(self, connection: sqlite3.Connection, now: str, mint: Callable[[str], str]) -> None:
        super().__init__(connection)
        self.now, self.mint = now, mint

    def add(self, prefix: str, sql: str, values: dict[str, Any]) -> Any:
        """The row that an INSERT returns, under the first id minted that is free; `sql` does nothing on a conflict."""
        row = None
        while row is None:  # an import may have taken an id that a desk for tests mints
            row = self.one(sql, values | {"id": self.mint(prefix)})
        return row
