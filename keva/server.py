"""waitress with deadlines, bounds, one shape of refusal, and a stop that answers what was accepted."""

from __future__ import annotations

import errno
import logging
import select
import socket
import threading
from math import inf
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from keva.channel import Channel, now
from keva.errors import CannotStart
from keva.log import LOG
from keva.request import MAX_BODY, MAX_CHUNKED, MAX_HEAD, Bodies, Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

try:
    import resource
except ImportError:  # Windows, where sockets are not file descriptors
    resource = None  # type: ignore[assignment]

# Without poll() there is only select(), which takes about 500 sockets.
MAX_CONNECTIONS = 1000 if hasattr(select, "poll") else 480
BACKLOG = 1024
SWEEP_SECONDS = 1.0
QUEUE_SECONDS = 10.0
# The parts of a stop: answering, a last word to those that were not, the end of the threads.
DRAIN_SECONDS = 4.0
QUIET_SECONDS = 0.2
FAREWELL_SECONDS = 0.3
THREADS_SECONDS = 0.2

OVERLOADED = "Too many requests are waiting; try again in a second."
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server:
    """Listens once made, serves in `run`, ends by `stop`."""

    def __init__(self, app: WSGIApplication, *, host: str = "127.0.0.1", port: int = 0, threads: int = 8) -> None:
        listening = _bind(host, port)
        address = listening.getsockname()
        shown = f"[{address[0]}]" if listening.family == socket.AF_INET6 else address[0]
        self.url = f"http://{shown}:{address[1]}"
        self._map: dict[int, Any] = {}
        self._thread_count = threads
        self._threads = _Threads()
        self._listener = _Listener(
            app,
            map=self._map,
            _sock=listening,
            dispatcher=self._threads,
            adj=_settings(address[0]),
            sockinfo=(listening.family, listening.type, listening.proto, address),
            bind_socket=False,
        )
        self._poll = wasyncore.poll2 if hasattr(select, "poll") else wasyncore.poll
        self._next_sweep = 0.0
        self._stopping = False
        self._closed = False
        # Reentrant, since a signal handler may call `stop` in the thread that holds it.
        self._lock = threading.RLock()

    def run(self) -> None:
        """Serves until `stop`, then answers what was accepted and closes everything."""
        try:
            if not self._stopping:
                _raise_descriptor_limit()
                self._threads.set_thread_count(self._thread_count)
                while not self._stopping:
                    self._turn(SWEEP_SECONDS)
                self._drain()
        finally:
            self._close()

    def stop(self) -> None:
        """Ends `run`; safe in a signal handler and in any thread, any number of times, before `run` too."""
        self._stopping = True
        with self._lock:
            if not self._closed:
                self._listener.pull_trigger()

    def _turn(self, timeout: float) -> None:
        self._poll(timeout, self._map)
        moment = now()
        if moment >= self._next_sweep:
            self._next_sweep = moment + SWEEP_SECONDS
            for channel in self._threads.take_back(moment - QUEUE_SECONDS):
                channel.refuse(Refusal(503, OVERLOADED))
            for channel in self._channels():
                channel.sweep()

    def _channels(self) -> list[Channel]:
        return list(self._listener.active_channels.values())

    def _drain(self) -> None:
        self._listener.draining = True
        self._listener.close_socket()
        begun = now()
        while self._channels() and now() < begun + DRAIN_SECONDS:
            self._turn(0.05)
            if now() > begun + QUIET_SECONDS:
                self._close_quiet()
        self._threads.take_back(inf)
        for channel in self._channels():
            channel.give_up()
        end = now() + FAREWELL_SECONDS
        while self._channels() and now() < end:
            self._turn(0.05)

    def _close_quiet(self) -> None:
        for channel in self._channels():
            if channel.quiet():
                channel.handle_close()

    def _close(self) -> None:
        for channel in self._channels():
            channel.handle_close()
        self._threads.end()
        with self._lock:
            self._closed = True
            self._listener.close()


class _Listener(TcpWSGIServer):
    channel_class = Channel
    draining = False
    full = False
    paused_until = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.bodies = Bodies()
        super().__init__(*args, **kwargs)

    def readable(self) -> bool:
        if not self.accepting:
            return False
        full = len(self.active_channels) >= MAX_CONNECTIONS
        if full and not self.full:
            LOG.warning("%d connections are open; new ones wait until one of them closes", MAX_CONNECTIONS)
        self.full = full
        return not full and now() >= self.paused_until

    def handle_accept(self) -> None:
        # More than one at a time, since each turn of the loop looks at every connection.
        for _ in range(64):
            if not self._accept_one() or len(self.active_channels) >= MAX_CONNECTIONS:
                return

    def add_task(self, channel: Channel) -> None:
        channel.queued_at = now()
        self.task_dispatcher.add_task(channel)

    def close_socket(self) -> None:
        """Takes in whoever has connected by now; closing would reset them."""
        while self._accept_one():
            pass
        wasyncore.dispatcher.close(self)

    def _accept_one(self) -> bool:
        try:
            accepted = self.accept()
            if accepted is None:
                return False
            connection, address = accepted
            self.set_socket_options(connection)
            Channel(self, connection, address, self.adj, map=self._map)
        except OSError as problem:
            # The listening socket stays readable: trying again at once would only spin.
            if problem.errno in _NO_DESCRIPTOR:
                LOG.warning("No connection can be taken for the moment: %s", problem.strerror)
                self.paused_until = now() + 0.5
                return False
        return True


class _Threads(ThreadedTaskDispatcher):
    """Its queue says nothing of each request that waits, but gives back those that waited too long."""

    def __init__(self) -> None:
        super().__init__()
        self._started: list[threading.Thread] = []

    def start_new_thread(self, target: Any, thread_no: int) -> None:
        thread = threading.Thread(target=target, args=(thread_no,), name=f"keva-{thread_no}", daemon=True)
        self._started.append(thread)
        thread.start()

    def add_task(self, channel: Channel) -> None:
        with self.lock:
            self.queue.append(channel)
            self.queue_cv.notify()

    def take_back(self, queued_before: float) -> list[Channel]:
        late = []
        with self.lock:
            while self.queue and self.queue[0].queued_at < queued_before:
                late.append(self.queue.popleft())
        return late

    def end(self) -> None:
        self.set_thread_count(0)
        end = now() + THREADS_SECONDS
        for thread in self._started:
            thread.join(max(0.0, end - now()))


def _settings(server_name: str) -> Adjustments:
    return Adjustments(
        server_name=server_name,
        backlog=BACKLOG,
        max_request_header_size=MAX_HEAD + 1,
        # Bodies are measured by keva.request; what is left to waitress is the framing of chunks.
        max_request_body_size=MAX_CHUNKED,
        # Bodies stay in memory, where their sum is bounded; answers larger than this wait for their client on disk,
        inbuf_overflow=MAX_BODY + 1,
        outbuf_overflow=1024 * 1024,
        # and no worker waits for one: whoever does not read is closed by the sweep.
        outbuf_high_watermark=2**62,
        expose_tracebacks=False,
        log_socket_errors=False,
        ident=None,
        clear_untrusted_proxy_headers=False,
    )


def _bind(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (socket.gaierror, UnicodeError):
        raise CannotStart(f"The host {host} is not known; choose an address of this computer.") from None
    except OverflowError:
        raise CannotStart(f"{port} is not a port; choose one from 0 to 65535.") from None
    except OSError as problem:
        raise CannotStart(_why_not(problem, host, port)) from None


def _why_not(problem: OSError, host: str, port: int) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use; stop what uses it, or choose another port."
    if problem.errno == errno.EACCES:
        return f"Port {port} may not be used by this user; choose one from 1024 up."
    if problem.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this computer; choose one that is, such as 127.0.0.1."
    return f"Port {port} on {host} cannot be used: {problem.strerror}."


def _raise_descriptor_limit() -> None:
    """Each connection takes a descriptor, and a second one while a large answer waits on disk."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * MAX_CONNECTIONS + 256
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
