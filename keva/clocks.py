"""The real clocks: what a test suite does to Python's `time` reaches neither them nor what waits by them."""

# Each is bound when this module is loaded, and hidden in a partial: freezegun and `mock.patch` replace the functions
# themselves, wherever a module holds them. time.perf_counter, since time-machine before 3.0 stops time.monotonic, by
# which threading's own waits for a condition are timed.

import threading
import time
from collections.abc import Callable
from functools import partial

elapsed = partial(time.perf_counter)  # seconds, of which only differences mean anything
machine_time = partial(time.time)  # epoch seconds
sleep = partial(time.sleep)


def wait_until(changed: threading.Condition, true: Callable[[], bool], seconds: float) -> bool:
    """Waits until `true` gives True, which is asked at each notice of `changed`; False when it does not in time.

    The lock of `changed` is held by the caller, as for its own `wait_for`.
    """
    end = elapsed() + seconds
    while not true():
        left = end - elapsed()
        if left <= 0:
            return False
        changed.wait(min(left, threading.TIMEOUT_MAX))
    return True
