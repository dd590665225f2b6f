"""One client's connection: its deadlines, its refusals, and an end that lets the client read the answer."""

import socket
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import WSGITask

from keva.log import LOG, answered
from keva.request import Refusal, Request

HEAD_SECONDS = 10.0
BODY_SECONDS = 30.0
IDLE_SECONDS = 120.0
SEND_SECONDS = 30.0
LINGER_SECONDS = 3.0
LINGER_BYTES = 32 * 1024 * 1024

LATE_HEAD = f"The request did not arrive within {HEAD_SECONDS:.0f} seconds; send its first line and headers at once."
LATE_BODY = f"The body did not arrive within {BODY_SECONDS:.0f} seconds; send it at once, or less of it."
QUEUE_SECONDS = 10.0
BUSY = "More requests are waiting than can be served; try again in a second."
CRASHED = "Something went wrong here; the log of the server has the details."
STOPPING = "The server is stopping; try again in a second."

# A partial, because a suite that uses freezegun replaces `monotonic` itself in every module that holds it.
now = partial(monotonic)


class Call(WSGITask):
    """One request in the application's hands."""

    def service(self) -> None:
        try:
            self.start()
            self.execute()
            self.finish()
        except ClientDisconnected:
            self.close_on_finish = True
        except BaseException:
            LOG.exception("%s %s failed", *self.request.said)
            self.close_on_finish = True
            if not self.wrote_header and self.channel.claim(self.request):
                self.channel.tell(Refusal(500, CRASHED), self.request)

    def build_response_header(self) -> bytes:
        if self.channel.server.draining and len(self.channel.requests) == 1:
            self.set_close_on_finish()
        head: bytes = super().build_response_header()
        if not self.channel.claim(self.request):
            raise ClientDisconnected
        return head

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ["keva.connection"] = self.channel.socket
        return environ


class Channel(HTTPChannel):
    """Reads, waits and closes in the loop's thread; a worker's thread enters `service` and never waits for a client."""

    task_class = Call
    # What the client has to send by `deadline`: "head", "body", or "" while nothing has begun.
    awaited = "head"
    refusal: Refusal | None = None
    refused = False
    lingering = False
    queued_at = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deadline = now() + HEAD_SECONDS
        self._unsent, self._unsent_since, self._left = 0, 0.0, 0

    # In the loop's thread

    def handle_error(self) -> None:
        LOG.exception("A connection failed")
        self.handle_close()

    def readable(self) -> bool:
        return self.lingering or not (
            self.requests or self.total_outbufs_len or self.will_close or self.close_when_flushed
        )

    def handle_read(self) -> None:
        if self.lingering:
            self._discard()
        else:
            super().handle_read()

    def received(self, data: bytes) -> None:
        with self.requests_lock:
            while data and not (self.refusal or self.will_close or self.close_when_flushed):
                data = data[self._take(data) :]
        self._tell_refusal()

    def handle_write(self) -> None:
        if self.total_outbufs_len:
            self._flush_exception(self._flush_some_if_lockable)
        if self.will_close:
            self.handle_close()
        elif self.close_when_flushed and not self.total_outbufs_len:
            self._part()

    def handle_close(self) -> None:
        super().handle_close()
        self._drop_unfinished()

    def sweep(self) -> None:
        """Ends what is overdue; called about once a second."""
        moment = now()
        if self.total_outbufs_len:
            if self.total_outbufs_len != self._unsent:
                self._unsent, self._unsent_since = self.total_outbufs_len, moment
            elif moment > self._unsent_since + SEND_SECONDS:
                self.handle_close()
            return
        if self.lingering or not (self.requests or self.close_when_flushed):
            self._check_deadline(moment)

    def refuse(self, refusal: Refusal) -> None:
        """Answers the request that is arriving, or the first one that waits, and ends the connection."""
        request = self.requests[0] if self.requests else self.request
        self.tell(refusal, request)
        for waiting in self.requests:
            waiting.close()
        self.requests = []
        self.refused = self.close_when_flushed = True

    def give_up(self) -> None:
        """The stop's time is over: what was not answered by now is told so."""
        request = self.requests[0] if self.requests else self.request
        if request is None:
            self.will_close = not self.close_when_flushed
        elif self.claim(request):
            self.refuse(Refusal(503, STOPPING))

    def quiet(self) -> bool:
        """Nothing is under way, and nothing has come in that was not read yet."""
        if self.requests or self.request or self.total_outbufs_len or self.close_when_flushed or self.lingering:
            return False
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return True

    # In either thread

    def claim(self, request: Request) -> bool:
        """True for whoever asks first, the worker or the end of the stop: that one gives the answer."""
        with self.requests_lock:
            first = not request.claimed
            request.claimed = True
            return first

    def tell(self, refusal: Refusal, request: Request | None) -> None:
        method, path = request.said if request else ("-", "-")
        answered(self.addr[0], method, path, refusal.status, refusal.sentence)
        with suppress(ClientDisconnected):
            self.write_soon(refusal.answer(method))

    def send_continue(self) -> None:
        self.request.expect_continue = False
        with suppress(ClientDisconnected):
            self.write_soon(b"HTTP/1.1 100 Continue\r\n\r\n")

    def service(self) -> None:
        if now() > self.queued_at + QUEUE_SECONDS and self.claim(self.requests[0]):
            self.refuse(Refusal(503, BUSY))
            self.server.pull_trigger()
            return
        super().service()
        self._await(self.awaited)
        self._tell_refusal()

    def _take(self, data: bytes) -> int:
        """Hands `data` to the request that is arriving, and gives how much of it was that request's."""
        if self.request is None:
            self.request = Request(self.adj, self.server.bodies)
            if not self.awaited:
                self._await("head")
        request = self.request
        consumed: int = request.received(data)
        if request.error:
            self.refusal = request.error
        elif request.completed:
            self._complete(request)
        elif request.headers_finished:
            self._expect_body(request)
        return consumed

    def _complete(self, request: Request) -> None:
        self.request = None
        if request.empty:  # an empty line before a request is not one, and gains no time
            return
        self.awaited = ""
        self.requests.append(request)
        if len(self.requests) == 1:
            self.server.add_task(self)

    def _expect_body(self, request: Request) -> None:
        if self.awaited != "body":
            self._await("body")
        if request.expect_continue and not self.requests:
            self.send_continue()

    def _await(self, what: str) -> None:
        self.awaited = what
        self.deadline = now() + {"head": HEAD_SECONDS, "body": BODY_SECONDS, "": IDLE_SECONDS}[what]

    def _tell_refusal(self) -> None:
        """Once what came before it on this connection is answered."""
        with self.requests_lock:
            if not self.refusal or self.requests or self.refused or self.close_when_flushed:
                return
            self.refused = True
        self.refuse(self.refusal)

    def _check_deadline(self, moment: float) -> None:
        if moment <= self.deadline:
            return
        if self.lingering or not self.awaited:
            self.handle_close()
        else:
            self.refuse(Refusal(408, LATE_HEAD if self.awaited == "head" else LATE_BODY))

    def _part(self) -> None:
        """Ends the connection; after a refusal it reads on for a while, since closing upon unread data is a reset."""
        self.close_when_flushed = False
        if not self.refused:
            self.handle_close()
            return
        self.lingering, self._left, self.deadline = True, LINGER_BYTES, now() + LINGER_SECONDS
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client is gone
            self.handle_close()

    def _discard(self) -> None:
        data = self.recv(self.adj.recv_bytes)  # closes by itself at the client's end
        self._left -= len(data)
        if self._left < 0:
            self.handle_close()

    def _drop_unfinished(self) -> None:
        if self.request:
            self.request.close()
            self.request = None
