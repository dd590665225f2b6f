"""What asks a command to end: SIGINT, SIGTERM and, where the system has it, SIGHUP."""

import signal
from collections.abc import Callable
from types import FrameType

_ENDING = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
    _ENDING.append(signal.SIGHUP)  # `nohup` has it ignored, so that a server outlives its terminal


class Stopped(BaseException):
    """Ends a command where it is, so that it cleans up; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """Turns the first signal into Stopped or, once a server runs, into its stop; the ones after it change nothing."""

    def __init__(self) -> None:
        self._asked = False
        self._stops: tuple[Callable[[], None], ...] | None = None
        self._send: Callable[[int], None] | None = None
        for number in _ENDING:
            signal.signal(number, self._receive)

    def call(self, *stops: Callable[[], None]) -> None:
        """From now on a signal calls all of `stops`, at once if one has come already."""
        self._stops = stops
        if self._asked:
            self._stop(stops)

    def pass_on(self, send: Callable[[int], None]) -> None:
        """From now on each signal, the ones after the first too, is for `send`, which gets its number."""
        self._send = send

    def let_go(self) -> None:
        """From now on a signal ends the process where it is: there is nothing left to clean up."""
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self._send is not None:
            self._send(number)
            return
        first, self._asked = not self._asked, True
        if self._stops is not None:
            self._stop(self._stops)
        elif first:
            raise Stopped(number)

    def _stop(self, stops: tuple[Callable[[], None], ...]) -> None:
        for stop in stops:
            stop()
