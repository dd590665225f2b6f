"""What waits to be sent on one connection: its share of the budget, and whether the client takes it in time."""

import socket
import threading
from collections import deque
from contextlib import suppress

from keva.clocks import elapsed as now
from keva.http.budget import Budget
from keva.http.hooks import Aborted

# How much of an answer has to be taken in which time: more of it while other answers have to wait for room.
SEND_SECONDS = 30.0
SEND_BYTES = 64 * 1024
SEND_BYTES_WHILE_OTHERS_WAIT = 8 * 1024 * 1024
# A worker stops making an answer when so much of it waits to be read, and goes on when so little is left.
FULL = 256 * 1024
LOW = 64 * 1024
# What waits on each connection up to here is bounded by their number; only what is beyond counts in the budget.
SMALL_ANSWER = 64 * 1024
# Pieces are cut up, so that what is sent can be let go of: one may be of megabytes, and its rest wait for long.
_CUT = 64 * 1024


class Outgoing:
    """The bytes for one client, in their order. A worker adds to them and sends what it can; the loop sends the rest.

    `lock` guards them, and the end of the connection. `budget` is shared with all connections.
    """

    def __init__(self, budget: Budget) -> None:
        self.lock = threading.RLock()
        self.unsent = 0  # bytes that the system has not taken yet
        self.broken = False  # the client is gone, and the loop has to close the connection
        self._budget, self._charged = budget, 0
        self._cuts: deque[memoryview] = deque()
        self._sent = 0
        self._window: tuple[float, int] | None = None  # since when the client should take some, and what was sent then

    def add(self, data: bytes, connection: socket.socket | None) -> None:
        """Sends what can be sent at once; Aborted when the client is gone, or `connection` closed."""
        with self.lock:
            if connection is None or self.broken:
                self._settle()
                raise Aborted
            self._cuts.extend(memoryview(data[at : at + _CUT]) for at in range(0, len(data), _CUT))
            self.unsent += len(data)
            self.send(connection)

    def send(self, connection: socket.socket) -> None:
        """Sends as much as the system takes."""
        with self.lock:
            try:
                with suppress(BlockingIOError):
                    while self._cuts:
                        self._count(connection.send(self._cuts[0]))
            except OSError:
                self.broken = True
            self._settle()

    def clear(self) -> None:
        with self.lock:
            self._cuts.clear()
            self.unsent = 0
            self._settle()

    def has_room(self, size: int) -> bool:
        """Whether so much more may wait to be read."""
        return self._budget.has_room(self._charge_with(size))

    def takes_more(self) -> bool:
        """Whether the next piece may be made; while there is no room for it, the others have to read faster."""
        return self.unsent < FULL and (self.has_room(FULL) or self._budget.note_want())

    def reserve(self, size: int) -> bool:
        """Room for so many more bytes; False while all connections together hold too many."""
        with self.lock:
            more = max(0, self._charge_with(size))
            if more and not self._budget.reserve(more):
                return False
            self._charged += more
            return True

    def overdraw(self, size: int) -> None:
        """The same for what cannot be refused any more."""
        with self.lock:
            more = max(0, self._charge_with(size))
            self._budget.overdraw(more)
            self._charged += more

    def is_overdue(self) -> bool:
        """The client does not read, or too little while others wait; to be asked about once a second."""
        moment = now()
        began, sent = self._window or (moment, self._sent)
        if not self.unsent:
            self._window = None
        elif self._window is None or self._sent - sent >= self._expected(moment):
            self._window = moment, self._sent
        else:
            return moment > began + SEND_SECONDS
        return False

    def _expected(self, moment: float) -> int:
        waits = moment - self._budget.refused_at < SEND_SECONDS
        return SEND_BYTES_WHILE_OTHERS_WAIT if waits else SEND_BYTES

    def _count(self, sent: int) -> None:
        self._sent += sent
        self.unsent -= sent
        rest = self._cuts[0][sent:]
        if rest:
            self._cuts[0] = rest
        else:
            self._cuts.popleft()

    def _charge_with(self, size: int) -> int:
        return self.unsent + size - SMALL_ANSWER - self._charged

    def _settle(self) -> None:
        """Gives back what the client has taken by now."""
        surplus = min(self._charged, -self._charge_with(0))
        if surplus > 0:
            self._budget.release(surplus)
            self._charged -= surplus
