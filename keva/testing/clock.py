"""A clock that can be stopped and moved."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime

from keva import times
from keva.clocks import elapsed
from keva.errors import Invalid

_ASK_EVERY = 1.0  # seconds
_YEAR_10000 = 253_402_300_800.0

Setting = tuple[float | None, float]  # when it stands still, if it does, and how many seconds it is ahead
REAL_TIME: Setting = None, 0.0


class _RealTime:
    """Epoch seconds, as SQLite gets them from the system: freezegun and time-machine divert all of Python's ways."""

    def __init__(self) -> None:
        self._ahead, self._ask_at = 0.0, float("-inf")

    def __call__(self) -> float:
        moment = elapsed()
        if moment >= self._ask_at:
            self._ahead, self._ask_at = _seconds_of_sqlite() - moment, moment + _ASK_EVERY
        return self._ahead + moment


def _seconds_of_sqlite() -> float:
    with closing(sqlite3.connect(":memory:")) as connection:
        [(days,)] = connection.execute("SELECT julianday('now') - julianday('1970-01-01')")
        return float(days) * 86400


class Clock:
    """Gives epoch seconds when called: the real time, a moved one or a stopped one. `on_change` hears of it."""

    def __init__(self) -> None:
        self._real_time = _RealTime()
        self._frozen, self._ahead = REAL_TIME
        self.on_change: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        return self._real_time() + self._ahead if self._frozen is None else self._frozen

    @property
    def now(self) -> str:
        return times.timestamp(self())

    @property
    def setting(self) -> Setting:
        """How it is set, for `set`."""
        return self._frozen, self._ahead

    def set(self, setting: Setting) -> None:
        self._frozen, self._ahead = setting
        self.on_change()

    def freeze(self, time: str | datetime | None = None) -> None:
        """Stops it, now or at `time`: text as the API shows it, or an aware datetime."""
        self._frozen = self() if time is None else _checked(_seconds(time))
        self.on_change()

    def advance(self, seconds: float) -> None:
        """Moves it on (or back), stopped or not."""
        if not isinstance(seconds, int | float):
            raise Invalid(f"{seconds!r} is no number of seconds: give one such as 60.")
        _checked(self() + seconds)
        if self._frozen is None:
            self._ahead += seconds
        else:
            self._frozen += seconds
        self.on_change()

    def unfreeze(self) -> None:
        """The real time again."""
        self.set(REAL_TIME)


def _checked(seconds: float) -> float:
    if not 0 <= seconds < _YEAR_10000:
        raise Invalid("The desk's clock shows times from 1970 to 9999.")
    return seconds


def _seconds(time: str | datetime) -> float:
    if isinstance(time, str):
        try:
            time = times.parse(time)
        except ValueError:
            raise Invalid(f"{time!r} is not a time: give one such as 2024-01-15T10:30:00Z.") from None
    if not isinstance(time, datetime):
        raise Invalid(f"{time!r} is not a time: give text such as 2024-01-15T10:30:00Z, or an aware datetime.")
    if time.tzinfo is None:
        raise Invalid(f"{time} says no time zone: give an aware datetime, such as one with tzinfo=UTC.")
    return time.timestamp()
