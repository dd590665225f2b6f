"""The rate limit: so many requests a minute for each key, in fixed minutes."""

import threading
from collections import defaultdict
from collections.abc import Callable

from keva.errors import TooMany

_MINUTE = 60


class RateLimit:
    """Counts each key's requests in the minute that runs, and forgets them with it; `clock` gives epoch seconds."""

    def __init__(self, requests_a_minute: int, clock: Callable[[], float]) -> None:
        self.limit, self._clock = requests_a_minute, clock
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: defaultdict[str | None, int] = defaultdict(int)

    def count(self, key: str | None) -> tuple[dict[str, str], TooMany | None]:
        """The three headers that tell of one more request by `key`, and the refusal when it is one too many."""
        with self._lock:
            now = self._clock()
            if now // _MINUTE != self._minute:
                self._minute = int(now // _MINUTE)
                self._counts.clear()
            self._counts[key] += 1
            left = self.limit - self._counts[key]
        reset = (self._minute + 1) * _MINUTE
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": str(reset),
        }
        return headers, None if left >= 0 else self._too_many(reset - now)

    def forget(self) -> None:
        with self._lock:
            self._counts.clear()

    def _too_many(self, seconds: float) -> TooMany:
        wait = max(1, -int(-seconds // 1))
        return TooMany(f"Over {self.limit} requests in this minute with this API key: wait {wait} s.", wait)
