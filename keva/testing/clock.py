"""A clock that can be stopped and moved."""

import time
from datetime import datetime
from functools import partial

from keva import times
from keva.errors import Invalid

# A partial, because a suite that uses freezegun replaces the function itself in every module that holds it.
_real_time = partial(time.time)
_YEAR_10000 = 253_402_300_800.0


class Clock:
    """Gives epoch seconds when called: the real time, a moved one or a stopped one."""

    def __init__(self) -> None:
        self._frozen: float | None = None
        self._ahead = 0.0

    def __call__(self) -> float:
        return _real_time() + self._ahead if self._frozen is None else self._frozen

    @property
    def now(self) -> str:
        return times.timestamp(self())

    def freeze(self, time: str | datetime | None = None) -> None:
        """Stops it, now or at `time`: text as the API shows it, or an aware datetime."""
        self._frozen = self() if time is None else _checked(_seconds(time))

    def advance(self, seconds: float) -> None:
        """Moves it on (or back), stopped or not."""
        _checked(self() + seconds)
        if self._frozen is None:
            self._ahead += seconds
        else:
            self._frozen += seconds

    def unfreeze(self) -> None:
        """The real time again."""
        self._frozen, self._ahead = None, 0.0


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
    if time.tzinfo is None:
        raise Invalid(f"{time} says no time zone: give an aware datetime, such as one with tzinfo=UTC.")
    return time.timestamp()
