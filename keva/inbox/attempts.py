"""Counts wrong tries to sign in, of each address and of each user, by the minute."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address

from keva.errors import TooMany
from keva.people import fold

ALLOWED = 5  # wrong tries a minute
_WINDOW = 60  # seconds
_LONGEST = 254  # characters of an email: what is counted is kept for a minute


class Attempts:
    """Each try counts from before its password is checked until it turns out to be right."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def count(self, address: str, email: str) -> list[str]:
        """Counts one try, and gives what `forgive` takes; TooMany when there were too many, which is not counted."""
        keys = [f"from {_network(address)}", f"as {fold(email[:_LONGEST])}"]
        now = self._clock()
        with self._lock:
            if int(now // _WINDOW) != self._minute:
                self._minute = int(now // _WINDOW)
                self._counts.clear()
            if any(self._counts[key] >= ALLOWED for key in keys):
                raise TooMany("Too many wrong tries: wait a minute, then try again.", _WINDOW - int(now % _WINDOW))
            self._counts.update(keys)
        return keys

    def forgive(self, keys: Iterable[str]) -> None:
        """Takes a try back that was right."""
        with self._lock:
            self._counts.subtract(keys)


def _network(address: str) -> str:
    """The address or, of an IPv6 one, the network: whoever has one has all of its addresses."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return str(int(ip) >> 64) if isinstance(ip, IPv6Address) else address
