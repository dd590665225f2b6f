"""Waiting for what comes from another thread or process."""

import sys
from collections.abc import Callable
from typing import Any

from keva.clocks import elapsed, sleep
from keva.errors import Invalid

_POLL_SECONDS = 0.005
_WAITS = {"requests": "wait_for", "events": "wait_for_event", "deliveries": "wait_for_delivery"}  # by what they look at


def check_wait(count: Any, timeout: Any, what: str, member: str) -> None:
    """Invalid for a number of things, or a time, that cannot be waited for."""
    _refuse_in_event_loop(member)
    if not isinstance(count, int) or count < 1:
        raise Invalid(f"{count!r} {what} cannot be waited for: give 1 or more, or look at {member}() for none.")
    if not isinstance(timeout, int | float) or not timeout >= 0:
        raise Invalid(f"{timeout!r} is no time to wait: give the most seconds, 0 or more.")


def _refuse_in_event_loop(member: str) -> None:
    """A wait would keep the loop from the very calls that are waited for."""
    asyncio = sys.modules.get("asyncio")  # not imported for this: without it there is no loop
    if asyncio and asyncio._get_running_loop():
        raise RuntimeError(
            f"{_WAITS[member]}() would hold up the event loop that runs here, and the calls with it: "
            f"await asyncio.to_thread(keva.{_WAITS[member]}, ...) instead."
        )


def wait_for(found: Callable[[], list[Any]], count: int, timeout: float) -> list[Any]:
    """What is found once there are so many, or when the time is over."""
    over = elapsed() + timeout
    while len(there := found()) < count and elapsed() < over:
        sleep(_POLL_SECONDS)
    return there
