"""When a delivery that failed is tried again."""

import random
import re

_MINUTE, _HOUR = 60.0, 3600.0
# After the first failure, the second and so on; then it is given up.
DELAYS = (5.0, _MINUTE, 5 * _MINUTE, 30 * _MINUTE, *(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24)))
_LONGEST_ASKED_FOR = 24 * _HOUR
_CHANCE = 0.1  # so that what failed together is not tried again together
_SECONDS = re.compile(r"[0-9]{1,9}")


def next_try(tries: int, now: float, retry_after: str | None) -> float | None:
    """When to try again after so many tries; None to give up. `retry_after` is that header of the answer."""
    if tries > len(DELAYS):
        return None
    delay = DELAYS[tries - 1] * (1 + random.random() * _CHANCE)
    return now + max(delay, _asked_for(retry_after))


def _asked_for(retry_after: str | None) -> float:
    """The header's seconds; a date is left out, because the clocks of two machines may differ."""
    if retry_after is None or not _SECONDS.fullmatch(retry_after.strip()):
        return 0.0
    return min(float(retry_after), _LONGEST_ASKED_FOR)
