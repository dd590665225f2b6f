"""A clock that can be stopped and moved."""

import time
from datetime import UTC, datetime
from functools import partial

from keva.errors import Invalid

# A partial, because a suite that uses freezegun replaces the function itself in every module that holds it.
_real = partial(time.time)
_YEAR_10000 = 253_402_300_800.0
_SHOWN = "%Y-%m-%dT%H:%M:%SZ"


class Clock:
    """Epoch seconds when called: the real ones, moved ones or stopped ones."""

    def __init__(self) -> None:
        self._frozen: float | None = None
        self._ahead = 0.0

    def __call__(self) -> float:
        return _real() + self._ahead if self._frozen is None else self._frozen

    @property
    def now(self) -> str:
        return datetime.fromtimestamp(self(), UTC).strftime(_SHOWN)

    def freeze(self, moment: str | datetime | None = None) -> None:
        """Stops it, now or at `moment`: text as the API shows times, or an aware datetime."""
        self._frozen = self() if moment is None else _shown(_seconds(moment))

    def advance(self, seconds: float) -> None:
        """Moves it on (or back), stopped or not."""
        _shown(self() + seconds)
        if self._frozen is None:
            self._ahead += seconds
        else:
            self._frozen += seconds

    def unfreeze(self) -> None:
        """The real time again."""
        self._frozen, self._ahead = None, 0.0


def _shown(seconds: float) -> float:
    if not 0 <= seconds < _YEAR_10000:
        raise Invalid("The desk's clock shows times from 1970 to 9999.")
    return seconds


def _seconds(moment: str | datetime) -> float:
    if isinstance(moment, str):
        try:
            moment = datetime.strptime(moment, _SHOWN).replace(tzinfo=UTC)
        except ValueError:
            raise Invalid(f"{moment!r} is not a time: give one such as 2024-01-15T10:30:00Z.") from None
    if moment.tzinfo is None:
        raise Invalid(f"{moment} says no time zone: give an aware datetime, such as one with tzinfo=UTC.")
    return moment.timestamp()
