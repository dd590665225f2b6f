"""Waiting for what comes from another thread or process."""

from collections.abc import Callable
from typing import Any

from keva.clocks import elapsed, sleep
from keva.errors import Invalid

_POLL_SECONDS = 0.005


def check_wait(count: Any, timeout: Any, what: str, member: str) -> None:
    """Invalid for a number of things, or a time, that cannot be waited for."""
    if not isinstance(count, int) or count < 1:
        raise Invalid(f"{count!r} {what} cannot be waited for: give 1 or more, or look at {member}() for none.")
    if not isinstance(timeout, int | float) or not timeout >= 0:
        raise Invalid(f"{timeout!r} is no time to wait: give the most seconds, 0 or more.")


def wait_for(found: Callable[[], list[Any]], count: int, timeout: float) -> list[Any]:
    """What is found once there are so many, or when the time is over."""
    over = elapsed() + timeout
    while len(there := found()) < count and elapsed() < over:
        sleep(_POLL_SECONDS)
    return there
