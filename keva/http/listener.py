"""The socket that accepts, and what its connections share."""

import errno
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waitress import wasyncore
from waitress.server import TcpWSGIServer

from keva.clocks import elapsed as now
from keva.errors import AddressUnusable
from keva.http.budget import Budget
from keva.http.channel import Channel
from keva.http.proxies import Proxies
from keva.http.task import Task
from keva.http.workers import Workers
from keva.log import LOG

MAX_BODIES = MAX_ANSWERS = 64 * 1024 * 1024
RETRY_SECONDS = 1.0  # after the system had no descriptor left
_NO_MORE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listener(TcpWSGIServer):
    """Accepts up to `places` connections, and then one in the place of the one that has been idle for longest.

    One beside the `first` of a loop shares its bounds.
    """

    channel_class = Channel
    task_dispatcher: Workers
    on_refusal: Callable[[str, str, int, str, float], None]
    proxies: Proxies
    url_prefix: str = ""

    def __init__(self, *args: Any, places: int, first: "Listener | None" = None, **kwargs: Any) -> None:
        self._first = first or self  # which wakes the loop, whichever of the others may be closed meanwhile
        self.bodies: Budget = first.bodies if first else Budget(MAX_BODIES)
        self.answers: Budget = first.answers if first else Budget(MAX_ANSWERS)
        self.channels: set[Channel] = set()
        self.idle: dict[Channel, None] = {}  # those of them on which nothing is under way, the longest first
        self.draining = False
        self.places = places
        self._calls: deque[Callable[[], None]] = deque()
        self._closed = False
        self._waking = threading.RLock()  # a signal may come while its thread is waking the loop
        self._accept_from = 0.0
        super().__init__(*args, **kwargs)
        if first:
            self.trigger.close()

    def readable(self) -> bool:
        has_place = len(self.channels) < self.places or bool(self.idle)
        return bool(self.accepting) and has_place and now() >= self._accept_from

    def handle_accept(self) -> None:
        if self._make_place():
            super().handle_accept()

    def handle_close(self) -> None:
        """Never closes the listening socket because of one client's error."""

    def accept(self) -> Any:
        try:
            return super().accept()
        except OSError as error:
            if error.errno in _NO_MORE:
                self._accept_from = now() + RETRY_SECONDS  # trying again at once would spin
                LOG.warning("No file descriptor is left for another connection: it has to wait.")
            raise

    def add_task(self, task: Task) -> None:
        task.queued_at = now()
        self.task_dispatcher.add_task(task)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Has the loop call it; from any thread."""
        self._first._calls.append(function)
        self.pull_trigger()

    def run_calls(self) -> None:
        while self._calls:
            try:
                self._calls.popleft()()
            except Exception:
                LOG.exception("A connection failed")

    def pull_trigger(self) -> None:
        """Wakes the loop. After `close` its pipe's descriptor may be that of another file: never write to it."""
        if self._first is not self:
            self._first.pull_trigger()
            return
        with self._waking:
            if not self._closed:
                super().pull_trigger()

    def stop_accepting(self) -> None:
        """Lets in who is at the door already, and nobody else."""
        self.draining = True
        for _ in range(self.adj.backlog):
            if now() >= self._accept_from:
                wasyncore.read(self)
        with suppress(OSError):  # Linux alone ends a door so; elsewhere it stays open while a forked process holds it
            self.socket.shutdown(socket.SHUT_RDWR)
        wasyncore.dispatcher.close(self)

    def close(self) -> None:
        with self._waking:
            self._closed = True
            super().close()

    def _make_place(self) -> bool:
        if len(self.channels) < self.places:
            return True
        longest = next((channel for channel in self.idle if not channel.has_unread()), None)
        if longest:
            longest.handle_close()
        return longest is not None


def resolve(host: str, port: int) -> tuple[Any, ...]:
    """The address as the system wants it; AddressUnusable where it is none of this machine's."""
    if not 0 <= port <= 65535:  # the system would take another one, without a word
        raise AddressUnusable(f"{port} is not a port: give one from 0 to 65535 with --port.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise AddressUnusable(f"{host!r} is not an address of this machine: give another with --host.") from error
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return family, kind, protocol, address


def why_unusable(error: OSError, host: str, port: int) -> str:
    """Why the address cannot be listened on, in a sentence."""
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use: stop what uses it, or pick another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this process has: pick one over 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: give another with --host."
    return f"Port {port} of {host} cannot be listened on: {error.strerror}."
