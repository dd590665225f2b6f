"""A database whose connection, lock and log fail at a step of the test's choosing."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from keva.storage import opening
from keva.storage.lock import FileLock
from keva.storage.wal import Wal


class Steps:
    """Counts what is done to the file, and raises once: `before` or after the step of number `at` was done."""

    def __init__(self, error: Callable[[], BaseException], before: bool = True) -> None:
        self._error, self._before = error, before
        self.at, self.number = -1, 0

    def arm(self, at: int) -> None:
        self.number, self.at = 0, at

    def disarm(self) -> bool:
        """Raises no more; True when it has."""
        reached, self.at = self.number > self.at, -1
        return reached

    def run(self, step: Callable[..., Any], *params: Any) -> Any:
        number, self.number = self.number, self.number + 1
        if number != self.at:
            return step(*params)
        if not self._before:
            step(*params)
        raise self._error()


class Connection:
    """A connection whose statements are steps, and of which those in `failing` fail each time."""

    def __init__(self, connection: sqlite3.Connection, steps: Steps | None = None) -> None:
        self.failing: dict[str, int] = {}
        self._connection, self._steps = connection, steps

    def execute(self, sql: str, *params: Any) -> Any:
        if sql in self.failing:
            raise sqlite_error(self.failing[sql])
        if self._steps:
            return self._steps.run(self._connection.execute, sql, *params)
        return self._connection.execute(sql, *params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as the test says")
    error.sqlite_errorcode = code
    return error


def wrap_connections(monkeypatch: pytest.MonkeyPatch, steps: Steps | None = None) -> list[Connection]:
    """Those that write, of every database opened from now on, in order."""
    opened: list[Connection] = []
    connect = opening.connect_to_write

    def connect_to_write(*params: Any) -> Any:
        opened.append(Connection(connect(*params), steps))
        return opened[-1]

    monkeypatch.setattr(opening, "connect_to_write", connect_to_write)
    return opened


def fail_by_steps(monkeypatch: pytest.MonkeyPatch, steps: Steps) -> None:
    wrap_connections(monkeypatch, steps)
    for owner, name in ((FileLock, "acquire"), (FileLock, "release"), (Wal, "checkpoint")):
        step = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *params, step=step: steps.run(step, *params))
