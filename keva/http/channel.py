"""One client's connection: its deadlines, its refusals, and an end that lets the client read the answer."""

import socket
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from waitress.buffers import OverflowableBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import ErrorTask, WSGITask

from keva.http.hooks import CONNECTION
from keva.http.parser import ProtocolError, RequestParser
from keva.log import LOG, log_request

HEAD_SECONDS = 10.0
BODY_SECONDS = 30.0
IDLE_SECONDS = 120.0
SEND_SECONDS = 30.0
LINGER_SECONDS = 3.0
LINGER_BYTES = 32 * 1024 * 1024

LATE_HEAD = f"The request did not arrive within {HEAD_SECONDS:.0f} seconds: send its first line and headers at once."
LATE_BODY = f"The body did not arrive within {BODY_SECONDS:.0f} seconds: send it at once, or less of it."
CRASHED = "Something went wrong here: the log of the server has the details."

# A partial, because a suite that uses freezegun replaces `monotonic` itself in every module that holds it.
now = partial(monotonic)


class RequestTask(WSGITask):
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
            if self.channel.claim(self.request):
                self.channel.send_refusal(ProtocolError(500, CRASHED), self.request)

    def build_response_header(self) -> bytes:
        if self.channel.server.draining and not self.channel.has_unread():
            self.set_close_on_finish()
        head: bytes = super().build_response_header()
        if not self.channel.claim(self.request):
            raise ClientDisconnected
        self.channel.buffer_head(head)  # to leave in one packet with the body
        return b""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ["PATH_INFO"] = self.request.path  # waitress drops the slashes that it has too many at its start
        environ[CONNECTION] = self.channel.socket
        return environ


class RefusalTask(ErrorTask):
    """One request that gets the ProtocolError in its `error`."""

    def service(self) -> None:
        self.close_on_finish = True
        if self.channel.claim(self.request):
            self.channel.send_refusal(self.request.error, self.request)


class Channel(HTTPChannel):
    """Reads, waits and closes in the loop's thread, and has a worker's thread answer one request at a time.

    Nothing is read while a request is being answered, so `requests` holds one at most, and what came in behind it
    waits in `rest`. The worker never waits for the client: what cannot be sent at once, the loop sends.
    """

    task_class = RequestTask
    error_task_class = RefusalTask
    request: RequestParser | None
    requests: list[RequestParser]
    # What the client has to send by `deadline`: "head", "body", or "" while nothing has begun.
    phase = "head"
    rest = b""
    refused = False
    lingering = False
    queued_at = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deadline = now() + HEAD_SECONDS
        self._unsent, self._send_by, self._discarded = 0, 0.0, 0

    # In the loop's thread

    def handle_error(self) -> None:
        LOG.exception("A connection failed")
        self.handle_close()

    def readable(self) -> bool:
        return self.lingering or not (
            self.requests or self.total_outbufs_len or self.will_close or self.close_when_flushed
        )

    def writable(self) -> bool:
        return bool(
            self.total_outbufs_len or self.will_close or self.close_when_flushed or (self.rest and not self.requests)
        )

    def handle_read(self) -> None:
        if self.lingering:
            self._discard()
        else:
            super().handle_read()

    def handle_write(self) -> None:
        if self.total_outbufs_len:
            self._flush_exception(self._flush_some_if_lockable)
        if self.will_close:
            self.handle_close()
        elif self.connected and not self.total_outbufs_len:
            if self.close_when_flushed:
                self._close_gracefully()
            elif self.rest:
                self.received(b"")

    def received(self, data: bytes) -> None:
        self.rest += data
        with self.requests_lock:
            while self.rest and not (self.requests or self.will_close or self.close_when_flushed):
                self._feed_parser()

    def handle_close(self) -> None:
        super().handle_close()
        self.rest = b""
        if self.request:
            self.request.close()
            self.request = None

    def sweep(self) -> None:
        """Ends what is overdue; called about once a second."""
        moment = now()
        if self.total_outbufs_len != self._unsent:
            self._unsent, self._send_by = self.total_outbufs_len, moment + SEND_SECONDS
        if self._unsent and moment > self._send_by:
            self.handle_close()
        elif self._unsent or self.requests:
            self._await(self.phase)  # the client's time begins when it has its answer
        elif moment > self.deadline:
            self._end_wait()

    def is_quiet(self) -> bool:
        """Nothing is under way, and nothing has come in that was not read yet."""
        under_way = self.requests or self.request or self.total_outbufs_len or self.close_when_flushed
        return not (under_way or self.has_unread())

    def answer_waiting(self, refusal: ProtocolError) -> None:
        """Does a worker's part for the request that waits for one."""
        self.requests[0].error = refusal
        self.service()

    def abandon(self, refusal: ProtocolError) -> None:
        """The stop's time is over: what was not answered by now is told so, even if a worker is still at it."""
        with self.requests_lock:
            request = self.requests[0] if self.requests else self.request
        if request is None:
            self.will_close = not self.total_outbufs_len
        elif self.claim(request):
            self.send_refusal(refusal, request)
            self.close_when_flushed = True

    def _feed_parser(self) -> None:
        """Hands what has come in to the request that is arriving."""
        if self.request is None:
            self.rest = self.rest.lstrip(b"\r\n")  # some clients end a body with an empty line
            if not self.rest:
                return
            self.request = RequestParser(self.adj, self.server.bodies)
            if not self.phase:
                self._await("head")
        request = self.request
        self.rest = self.rest[request.received(self.rest) :]
        if request.completed:
            self._queue(request)
        elif request.headers_finished and self.phase != "body":
            self._await("body")
            if request.expect_continue:
                self.write_soon(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _queue(self, request: RequestParser) -> None:
        self.request = None
        self._await("")
        if request.error:
            request.close()  # what came of its body is of no use, and should not wait for a worker
        self.requests.append(request)
        self.server.add_task(self)

    def _await(self, what: str) -> None:
        self.phase = what
        self.deadline = now() + {"head": HEAD_SECONDS, "body": BODY_SECONDS, "": IDLE_SECONDS}[what]

    def _end_wait(self) -> None:
        if self.lingering or not self.phase:
            self.handle_close()
            return
        request = self.request or RequestParser(self.adj, self.server.bodies)
        request.error = ProtocolError(408, LATE_HEAD if self.phase == "head" else LATE_BODY)
        with self.requests_lock:
            self._queue(request)

    def _close_gracefully(self) -> None:
        """Ends the connection; after a refusal it reads on for a while, since closing upon unread data is a reset."""
        self.close_when_flushed = False
        if not self.refused:
            self.handle_close()
            return
        self.rest = b""
        self.lingering, self.deadline = True, now() + LINGER_SECONDS
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client is gone
            self.handle_close()

    def _discard(self) -> None:
        self._discarded += len(self.recv(self.adj.recv_bytes))  # which closes at the client's end
        if self._discarded > LINGER_BYTES:
            self.handle_close()

    # In either thread

    def claim(self, request: RequestParser) -> bool:
        """True for whoever asks first, the worker or the end of the stop: that one gives the answer."""
        with self.requests_lock:
            first = not request.claimed
            request.claimed = True
            return first

    def send_refusal(self, refusal: ProtocolError, request: RequestParser) -> None:
        method, path = request.said
        log_request(self.addr[0], method, path, refusal.status, refusal.sentence)
        self.server.on_refusal(method, path, refusal.status, refusal.sentence)
        self.refused = True
        with suppress(ClientDisconnected):
            self.write_soon(refusal.answer(method))

    def buffer_head(self, data: bytes) -> None:
        """Begins an answer, which is sent with the next `write_soon`, or when the worker is done."""
        with self.outbuf_lock:
            if not self.connected:
                raise ClientDisconnected
            self.outbufs.append(OverflowableBuffer(self.adj.outbuf_overflow))
            self.outbufs[-1].append(data)
            self.current_outbuf_count = len(data)
            self.total_outbufs_len += len(data)

    def has_unread(self) -> bool:
        connection = self.socket
        try:
            return bool(self.rest or (connection and connection.recv(1, socket.MSG_PEEK)))
        except OSError:  # nothing there, or the client is gone
            return False
