"""Whose turn it is to use the one connection that writes."""

import threading
import weakref
from queue import Empty, SimpleQueue

from keva.clocks import elapsed

_LOOK_SECONDS = 0.1  # between two looks at the turn, for whoever was not woken


class _Ticket:
    """One hold on the turn. Whoever puts a ticket behind a free one, which only one can do, has the turn."""

    def __init__(self, holder: weakref.ref[object]) -> None:
        self.holder = holder
        self.released = False
        self._thread = threading.current_thread()
        self._next: dict[str, _Ticket] = {}

    @property
    def is_last(self) -> bool:
        return not self._next

    def is_abandoned(self) -> bool:
        """True when its thread has gone on without it, or its holder is no more."""
        return self._thread is threading.current_thread() or not self._thread.is_alive() or self.holder() is None

    def is_free(self) -> bool:
        """Once it is, it stays so."""
        if not self.released and self.is_abandoned():
            self.released = True
        return self.released

    def followed_by(self, ticket: "_Ticket") -> "_Ticket":
        """The ticket behind this one, which is the given one if there was none: in one step, as `setdefault` is."""
        return self._next.setdefault("next", ticket)


class Turn:
    """Held by one object at a time, from `take` to `release`, and by none once that object is gone.

    An exception that a signal or another thread raises may fall on the very line that would let go of a lock. So there
    is none here that could stay locked: the turn is free when its holder says so, when the holder no longer exists or
    its thread has ended, and for the holder's thread itself.
    """

    def __init__(self) -> None:
        self._last = _Ticket(weakref.ref(self))
        self._last.released = True
        self._waiting: set[_Ticket] = set()
        self._wake: SimpleQueue[None] = SimpleQueue()  # an entry wakes one who waits; nothing else depends on it

    @property
    def waiting(self) -> int:
        """How many wait in `take`."""
        return sum(not ticket.is_abandoned() for ticket in list(self._waiting)) if self._waiting else 0

    @property
    def is_free(self) -> bool:
        """Not to be asked by the holder's thread, for which it is."""
        last = self._last
        return last.is_last and last.is_free()

    def take(self, holder: object, patience: float = 0.0) -> bool:
        """True once it is the holder's; False when another keeps it for all of `patience` seconds."""
        ticket = _Ticket(weakref.ref(holder))
        if self._claim(ticket):
            return True
        end = elapsed() + patience
        try:
            self._waiting.add(ticket)
            while (left := end - elapsed()) > 0:
                self._sleep(min(left, _LOOK_SECONDS))
                if self._claim(ticket):
                    return True
            return False
        finally:
            self._waiting.discard(ticket)

    def is_held_by(self, holder: object) -> bool:
        last = self._last
        return last.is_last and not last.released and last.holder() is holder

    def release(self, holder: object) -> None:
        """Does nothing when it was not the holder's, or not any more."""
        if self.is_held_by(holder):
            self._last.released = True
            if self._waiting:
                self._wake.put(None)

    def _claim(self, ticket: _Ticket) -> bool:
        last = self._last
        while last.is_free():
            last = last.followed_by(ticket)
            if last is ticket:
                self._last = ticket
                return True
        return False

    def _sleep(self, seconds: float) -> None:
        try:
            self._wake.get(timeout=seconds)
        except Empty:
            return
