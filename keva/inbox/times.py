"""Times as people read them: how long ago, and when exactly."""

from datetime import datetime

from keva.times import parse

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def ago(moment: str, now: str) -> str:
    """How long ago, in the fewest words; a date where that is more than six days."""
    then, today = parse(moment), parse(now)
    seconds = (today - then).total_seconds()
    if seconds < _MINUTE:
        return "now" if seconds > -_MINUTE else _date(then, today)
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h"
    if seconds < 7 * _DAY:
        return f"{int(seconds // _DAY)} d"
    return _date(then, today)


def exactly(moment: str) -> str:
    return f"{moment[:10]} {moment[11:16]} UTC"


def _date(then: datetime, today: datetime) -> str:
    return f"{then.day} {then:%b}" + ("" if then.year == today.year else f" {then.year}")
