"""A bound for what all connections hold together."""

import threading
from math import inf
from typing import Literal

from keva.clocks import elapsed as now


class Budget:
    """How many bytes may be held at once; what is larger than all of it is let through alone."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.held = 0
        self.refused_at = -inf  # when somebody was last told that there is no room
        self._lock = threading.Lock()

    def reserve(self, size: int) -> bool:
        """False when there is no room for so many more."""
        with self._lock:
            fits = self.has_room(size)
            if not fits:
                return self.note_want()
            self.held += size
            return True

    def overdraw(self, size: int) -> None:
        """Reserves what cannot be refused any more."""
        with self._lock:
            self.held += size

    def note_want(self) -> Literal[False]:
        """Notes that somebody has to wait for room."""
        self.refused_at = now()
        return False

    def has_room(self, size: int) -> bool:
        return self.held == 0 or self.held + size <= self.size

    def release(self, size: int) -> None:
        with self._lock:
            self.held -= size
