"""When a delivery that failed is tried again."""

import random
import re
from email.utils import parsedate_to_datetime

_MINUTE, _HOUR = 60.0, 3600.0
# After the first failure, the second and so on; then it is given up.
DELAYS = (5.0, _MINUTE, 5 * _MINUTE, 30 * _MINUTE, *(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24)))
_LONGEST_ASKED_FOR = 24 * _HOUR
_CHANCE = 0.1  # so that what failed together is not tried again together
_SECONDS = re.compile(r"[0-9]{1,9}")


def next_try(tries: int, now: float, asked_for: float = 0.0) -> float | None:
    """When to try again after so many tries, not before the seconds that were asked for; None to give up."""
    if tries > len(DELAYS):
        return None
    delay = DELAYS[tries - 1] * (1 + random.random() * _CHANCE)
    return now + max(delay, min(asked_for, _LONGEST_ASKED_FOR))


def seconds_asked_for(retry_after: str | None, now: float) -> float:
    """What that header of an answer asks for: seconds, or a moment by the clocks of the machines (RFC 9110, 10.2.3)."""
    text = (retry_after or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
