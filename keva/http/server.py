"""Serves WSGI applications, each at an address, until a stop that answers what has come in."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from typing import Any, TypeVar
from weakref import WeakSet

from waitress import wasyncore
from waitress.adjustments import Adjustments

from keva.clocks import elapsed as now
from keva.errors import AddressUnusable
from keva.http import refusals
from keva.http.channel import Channel
from keva.http.descriptors import more_places, places
from keva.http.listener import Listener, resolve, why_unusable
from keva.http.proxies import Proxies
from keva.http.refusals import ProtocolError
from keva.http.workers import Workers

SWEEP_SECONDS = 1.0
QUEUE_SECONDS = 10.0
DRAIN_SECONDS = 4.0
GRACE_SECONDS = 0.2
LAST_WORDS_SECONDS = 0.25
_LOOP_SECONDS = 10.0  # for the loop to come round

App = Callable[..., Any]
OnRefusal = Callable[[str, str, int, str, float], None]
Result = TypeVar("Result")

_SETTINGS: dict[str, Any] = {
    "log_socket_errors": False,
    # keva.http.proxies alone reads X-Forwarded headers, and waitress would wrap each call only to take them out.
    "clear_untrusted_proxy_headers": False,
}


_servers: WeakSet["Server"] = WeakSet()


class Server:
    """Listens on `host` and `port` (0: a free one) from the start; AddressUnusable where it may not.

    A `trusted_proxy`, or several with commas between them, is believed who calls through it. Paths may begin with
    `url_prefix` (/desk), which the application finds as SCRIPT_NAME.
    `on_refusal` is told method, path, status and sentence of what the application never sees, and when it began.
    """

    def __init__(
        self,
        app: App,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        threads: int = 8,
        trusted_proxy: str | None = None,
        url_prefix: str = "",
        on_refusal: OnRefusal = lambda *_: None,
    ) -> None:
        self._map: dict[int, Any] = {}
        self._stopping = False
        self._next_sweep = 0.0
        self._workers = Workers(threads)
        self._host, self._proxies = host, Proxies(trusted_proxy)
        self._settings = Adjustments(**_SETTINGS)
        self._others: dict[str, Listener] = {}  # beside the first one, by their origins
        self._listener = self._listen(app, port, on_refusal, places())
        self._listener.url_prefix = url_prefix
        self._workers.start()
        _servers.add(self)
        self.url = self._origin(self._listener)

    def add(self, app: App, on_refusal: OnRefusal = lambda *_: None) -> str:
        """Serves another application at a free port of the same host, by the same threads, and gives its origin.

        While it runs, and not from the loop's own thread.
        """

        def add() -> str:
            listener = self._listen(app, 0, on_refusal, more_places(), self._listener)
            url = self._origin(listener)
            self._others[url] = listener
            return url

        return self._in_loop(add)

    def remove(self, url: str) -> None:
        """Ends what `add` began, and closes its connections."""

        def remove() -> None:
            listener = self._others.pop(url)
            listener.close()
            for channel in list(listener.channels):
                channel.handle_close()

        self._in_loop(remove)

    def run(self) -> None:
        """Serves until `stop`, then answers what was fully received, and closes everything."""
        try:
            while not self._stopping:
                self._turn(SWEEP_SECONDS)
            self._drain()
        finally:
            for listener in self._listeners():
                listener.close()
            for channel in self._channels():
                channel.handle_close()
            self._workers.end(LAST_WORDS_SECONDS)
            self._listener.run_calls()

    def stop(self) -> None:
        """Ends `run`; from any thread or signal handler, any number of times."""
        self._stopping = True
        self._listener.pull_trigger()

    def close_copies(self) -> None:
        """In a forked process: closes its copies of the sockets, which would keep open what the server closes."""
        for dispatcher in list(self._map.values()):
            with suppress(OSError):
                dispatcher.socket.close()

    def _turn(self, seconds: float) -> None:
        """Waits at most so long for something to happen on any connection, and does it."""
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)
        self._listener.run_calls()
        if now() >= self._next_sweep:
            self._next_sweep = now() + SWEEP_SECONDS
            self._refuse_waiting(now() - QUEUE_SECONDS, refusals.BUSY)
            for channel in self._channels():
                channel.sweep()

    def _refuse_waiting(self, since: float, sentence: str) -> None:
        for task in self._workers.take_back(since):
            task.refuse(ProtocolError(503, sentence))

    def _listen(
        self, app: App, port: int, on_refusal: OnRefusal, places: int, first: Listener | None = None
    ) -> Listener:
        address, others = resolve(self._host, port), set(self._map)
        try:
            listener = Listener(
                app,
                self._map,
                places=places,
                first=first,
                dispatcher=self._workers,
                adj=self._settings,
                sockinfo=address,
            )
        except OSError as error:
            for begun in [self._map[number] for number in self._map.keys() - others]:
                begun.close()
            raise AddressUnusable(why_unusable(error, self._host, port)) from error
        listener.on_refusal, listener.proxies = on_refusal, self._proxies
        return listener

    def _origin(self, listener: Listener) -> str:
        shown = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{shown}:{listener.effective_port}"

    def _in_loop(self, function: Callable[[], Result]) -> Result:
        """Has the loop's thread call it, which alone may change what it waits for."""
        done = Future[Result]()

        def call() -> None:
            try:
                done.set_result(function())
            except Exception as error:
                done.set_exception(error)

        self._listener.call_soon(call)
        return done.result(_LOOP_SECONDS)

    def _listeners(self) -> list[Listener]:
        return [*self._others.values(), self._listener]

    def _channels(self) -> list[Channel]:
        return [channel for listener in self._listeners() for channel in listener.channels]

    def _drain(self) -> None:
        for listener in self._listeners():
            listener.stop_accepting()
        began = now()
        while self._channels() and now() < began + DRAIN_SECONDS:
            self._turn(0.05)
            if now() > began + GRACE_SECONDS:
                self._close_quiet()
        self._refuse_waiting(inf, refusals.STOPPING)
        for channel in self._channels():
            channel.abandon(ProtocolError(503, refusals.STOPPING))
        over = now() + LAST_WORDS_SECONDS
        while self._channels() and now() < over:
            self._turn(0.05)

    def _close_quiet(self) -> None:
        for channel in self._channels():
            if channel.is_quiet():
                channel.handle_close()


def _close_all_copies() -> None:
    for server in list(_servers):
        server.close_copies()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_close_all_copies)
