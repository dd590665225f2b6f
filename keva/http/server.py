"""Waitress as this service runs it: one address, deadlines, bounds, and a stop that answers what has come in."""

import errno
import socket
import threading
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from keva.errors import AddressUnusable
from keva.http.channel import Channel, now
from keva.http.parser import MAX_CHUNKED, MAX_HEAD, BodyBudget, ProtocolError
from keva.limits import MAX_BODY
from keva.log import LOG

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

CONNECTIONS = 1000
SWEEP_SECONDS = 1.0
QUEUE_SECONDS = 10.0
DRAIN_SECONDS = 4.0
GRACE_SECONDS = 0.2
LAST_WORDS_SECONDS = 0.25
BUSY = "More requests are waiting than can be served: try again in a second."
STOPPING = "The server is stopping: try again in a second."
_OTHER_FILES = 200  # descriptors beside those of the connections: the database's, for each thread

_SETTINGS: dict[str, Any] = {
    "connection_limit": CONNECTIONS + 2,  # it counts the listening socket and the pipe that wakes the loop
    "max_request_body_size": MAX_CHUNKED + 1,  # waitress refuses from this size on
    "max_request_header_size": MAX_HEAD + 1,
    "inbuf_overflow": 2 * MAX_BODY,  # no body goes to disk: BodyBudget bounds their sum
    "outbuf_overflow": 1 << 40,  # nor does an answer, since the disk may be full
    "outbuf_high_watermark": 1 << 40,  # a worker would wait for a client that does not read
    "recv_bytes": 16384,
    "ident": None,
    "log_socket_errors": False,
    # Nothing here reads X-Forwarded headers, and waitress would wrap each call only to take them out.
    "clear_untrusted_proxy_headers": False,
}


class Server:
    """Listens on `host` and `port` (0: a free one) from the start; AddressUnusable where it may not.

    `on_refusal` is told method, path, status and sentence of what the application never sees.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        threads: int = 8,
        on_refusal: Callable[[str, str, int, str], None] = lambda *_: None,
    ) -> None:
        _allow_connections()
        self._map: dict[int, Any] = {}
        self._stopping = False
        self._next_sweep = 0.0
        self._workers = _Workers()
        settings = Adjustments(threads=threads, **_SETTINGS)
        address = _resolve(host, port)
        try:
            self._listener = _Listener(app, self._map, dispatcher=self._workers, adj=settings, sockinfo=address)
        except OSError as error:
            wasyncore.close_all(self._map)
            raise AddressUnusable(_why_not(error, host, port)) from error
        self._listener.on_refusal = on_refusal
        self._workers.set_thread_count(threads)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._listener.effective_port}"

    def run(self) -> None:
        """Serves until `stop`, then answers what was fully received, and closes everything."""
        try:
            while not self._stopping:
                self._turn(SWEEP_SECONDS)
            self._drain()
        finally:
            self._listener.close()
            for channel in self._channels():
                channel.handle_close()
            self._workers.end(LAST_WORDS_SECONDS)

    def stop(self) -> None:
        """Ends `run`; from any thread or signal handler, any number of times."""
        self._stopping = True
        self._listener.pull_trigger()

    def _turn(self, seconds: float) -> None:
        """Waits at most so long for something to happen on any connection, and does it."""
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)
        if now() >= self._next_sweep:
            self._next_sweep = now() + SWEEP_SECONDS
            self._refuse_waiting(now() - QUEUE_SECONDS, BUSY)
            for channel in self._channels():
                channel.sweep()

    def _refuse_waiting(self, since: float, sentence: str) -> None:
        for channel in self._workers.take_back(since):
            channel.answer_waiting(ProtocolError(503, sentence))

    def _channels(self) -> list[Channel]:
        return list(self._listener.active_channels.values())

    def _drain(self) -> None:
        self._listener.close_door()
        began = now()
        while self._channels() and now() < began + DRAIN_SECONDS:
            self._turn(0.05)
            if now() > began + GRACE_SECONDS:
                self._close_quiet()
        self._refuse_waiting(inf, STOPPING)
        for channel in self._channels():
            channel.abandon(ProtocolError(503, STOPPING))
        over = now() + LAST_WORDS_SECONDS
        while self._channels() and now() < over:
            self._turn(0.05)

    def _close_quiet(self) -> None:
        for channel in self._channels():
            if channel.is_quiet():
                channel.handle_close()


class _Listener(TcpWSGIServer):
    """The socket that accepts, and what its connections share."""

    channel_class = Channel
    on_refusal: Callable[[str, str, int, str], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.bodies = BodyBudget()
        self.draining = False
        self._closed = False
        self._waking = threading.RLock()  # a signal may come while its thread is waking the loop
        self._accept_from = 0.0
        super().__init__(*args, **kwargs)

    def readable(self) -> bool:
        return bool(super().readable()) and now() >= self._accept_from

    def maintenance(self, _: float) -> None:
        """The sweep does what waitress would do here."""

    def add_task(self, channel: Channel) -> None:
        channel.queued_at = now()
        super().add_task(channel)

    def handle_close(self) -> None:
        """Whatever goes wrong with one client, even before it is let in, the door stays open for the others."""

    def accept(self) -> Any:
        try:
            return super().accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._accept_from = now() + SWEEP_SECONDS  # trying again at once would spin
                LOG.warning("No file descriptor is left for another connection: it has to wait.")
            raise

    def pull_trigger(self) -> None:
        """Wakes the loop. Once closed, the number of its pipe may be that of another file: that is never written to."""
        with self._waking:
            if not self._closed:
                super().pull_trigger()

    def close_door(self) -> None:
        """Lets in who is at the door already, and nobody else."""
        self.draining = True
        for _ in range(self.adj.backlog):
            if now() >= self._accept_from:
                wasyncore.read(self)
        wasyncore.dispatcher.close(self)

    def close(self) -> None:
        with self._waking:
            self._closed = True
            super().close()


class _Workers(ThreadedTaskDispatcher):
    """The threads that call the application, and the connections that wait for one."""

    queue: deque[Channel]

    def __init__(self) -> None:
        super().__init__()
        self._started: list[threading.Thread] = []

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        thread = threading.Thread(target=target, args=(thread_no,), name=f"keva-{thread_no}", daemon=True)
        self._started.append(thread)
        thread.start()

    def add_task(self, channel: Channel) -> None:
        # Waitress would also warn of each one that waits, which at load costs more than the request.
        with self.lock:
            self.queue.append(channel)
            self.queue_cv.notify()

    def take_back(self, since: float) -> list[Channel]:
        """Those that have waited since then or longer, which no thread will get any more."""
        taken = []
        with self.lock:
            while self.queue and self.queue[0].queued_at < since:
                taken.append(self.queue.popleft())
        return taken

    def end(self, seconds: float) -> None:
        """Waits at most so long for them to finish what they are at."""
        self.set_thread_count(0)
        over = now() + seconds
        for thread in self._started:
            thread.join(max(0.0, over - now()))


def _resolve(host: str, port: int) -> tuple[Any, ...]:
    if not 0 <= port <= 65535:  # the system would take another one, without a word
        raise AddressUnusable(f"{port} is not a port: give one from 0 to 65535 with --port.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise AddressUnusable(f"{host!r} is not an address of this machine: give another with --host.") from error
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return family, kind, protocol, address


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use: stop what uses it, or pick another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this process has: pick one over 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: give another with --host."
    return f"Port {port} of {host} cannot be listened on: {error.strerror}."


def _allow_connections() -> None:
    """Raises this process's limit of open files as far as the connections need it and the system lets it."""
    if resource is None:
        return
    wanted = CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
