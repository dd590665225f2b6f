"""`Reader` runs single statements; `Transaction` adds the time and the id generator of one write."""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from keva.storage import disk, images

Params = Sequence[Any] | Mapping[str, Any]


class Reader:
    """Runs statements that read: each sees the last commit. Raises Unavailable where the disk fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cursors: set[sqlite3.Cursor] = set()  # of `each`, while they are stepped

    def all(self, sql: str, params: Params = ()) -> list[Any]:
        """Every row."""
        try:
            return self._connection.execute(sql, params).fetchall()
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.DatabaseError, MemoryError) as error:
            raise disk.unavailable(error) from error

    def one(self, sql: str, params: Params = ()) -> Any:
        """The first row, or None."""
        rows = self.all(sql, params)
        return rows[0] if rows else None

    def each(self, sql: str, params: Params = ()) -> Generator[Any, None, None]:
        """Row after row as they are asked for, all of one state, so that a long answer is never in memory whole.

        Until its end the WAL cannot be written anew from its start, and grows: exhaust the iterator, or close it.
        """
        cursor = self._connection.cursor()
        self._cursors.add(cursor)
        try:
            yield from cursor.execute(sql, params)
        except (sqlite3.DatabaseError, MemoryError) as error:
            raise disk.unavailable(error) from error
        finally:
            self._cursors.discard(cursor)
            cursor.close()

    def image(self) -> bytes:
        """The whole database as of the last commit."""
        return images.image_of(self._connection)

    def detach(self) -> sqlite3.Connection:
        """Ends it: whoever uses it later fails, rather than meet another's statements. Gives its connection."""
        while self._cursors:
            self._cursors.pop().close()
        connection = self._connection
        del self._connection
        return connection


class Transaction(Reader):
    """One write: `now` is the time that all of its rows carry, `mint(prefix)` makes an id.

    One that `has_news` calls the writer's `on_news` once it is committed.
    """

    def __init__(self, connection: sqlite3.Connection, now: str, mint: Callable[[str], str]) -> None:
        super().__init__(connection)
        self.now, self.mint = now, mint
        self.has_news = False

    @property
    def changes(self) -> int:
        """A number that grows with each row that is written."""
        return self._connection.total_changes

    def insert(self, prefix: str, sql: str, values: dict[str, Any]) -> Any:
        """Runs an INSERT ... ON CONFLICT (id) DO NOTHING RETURNING ... under a fresh `:id`, and gives its row.

        An import may have taken an id that a desk for tests mints next, so it tries until one is free.
        """
        row = None
        while row is None:
            row = self.one(sql, values | {"id": self.mint(prefix)})
        return row
