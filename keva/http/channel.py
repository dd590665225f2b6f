"""One client's connection: its deadlines, its refusals, and an end that lets the client read the answer."""

# The states of a connection. The loop's thread changes the phase, and nobody else. A worker knows of a connection
# only while one of its requests is a Task, and then calls what stands under "In either thread".
#
# phase   what happens                     ends with                                  and after too long
# NEW     no byte has come yet             the first byte: HEAD                       closed without a word (10 s)
# HEAD    first line and headers arrive    their end: BODY or ANSWER                  408 (10 s)
# BODY    the body arrives                 its end: ANSWER                            408 (30 s)
# ANSWER  one request is queued, worked    all is sent: IDLE, or LINGER after a       queued: 503 (10 s)
#         on, or being sent                refusal, or closed                         not read: closed (30 s)
# IDLE    kept for the next request        the first byte: HEAD; closed when another  closed without a word (120 s)
#                                          connection needs its place
# LINGER  a refusal is sent; what still    the client's end: closed                   closed (3 s, or 32 MiB)
#         comes in is thrown away
#
# In ANSWER nothing is read from the socket; what came in behind the request waits in `rest`. `task` is the request
# until its answer is complete: a worker has it, or the queue of the workers has it, or it is `paused` because the
# client has to read first, and then the loop queues it again. A refusal has no task: the loop sends it by itself.

import socket
import struct
from contextlib import suppress
from enum import Enum
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from waitress import wasyncore

from keva.clocks import elapsed as now
from keva.http.hooks import Aborted
from keva.http.outgoing import FULL, LOW, Outgoing
from keva.http.parser import RequestParser
from keva.http.refusals import ProtocolError
from keva.http.task import Task
from keva.log import LOG, log_request

if TYPE_CHECKING:
    from keva.http.listener import Listener

HEAD_SECONDS = 10.0
BODY_SECONDS = 30.0
IDLE_SECONDS = 120.0
LINGER_SECONDS = 3.0
LINGER_BYTES = 32 * 1024 * 1024
_RECEIVE = 16 * 1024

LATE_HEAD = f"The request did not arrive within {HEAD_SECONDS:.0f} seconds: send its first line and headers at once."
LATE_BODY = f"The body did not arrive within {BODY_SECONDS:.0f} seconds: send it at once, or less of it."


class Phase(Enum):
    NEW, HEAD, BODY, ANSWER, IDLE, LINGER = range(6)


_IDLE = {Phase.NEW, Phase.IDLE, Phase.LINGER}  # nothing is under way


class Channel(wasyncore.dispatcher):
    """A connection of `server`, from its start to its end; the table above has its states."""

    def __init__(self, server: "Listener", sock: socket.socket, addr: Any, _: Any, map: dict[int, Any]) -> None:
        self.server = server
        self.outgoing = Outgoing(server.answers)
        self.lock = self.outgoing.lock  # also of who answers
        self.task: Task | None = None
        self.paused = False
        self.rest = b""
        self._arriving: RequestParser | None = None
        self._closes = self._refused = False
        self._discarded = 0
        super().__init__(sock, map)
        self.connected, self.addr = True, addr
        self._enter(Phase.NEW, HEAD_SECONDS)

    # What the loop asks and tells

    def add_channel(self, map: Any = None) -> None:
        super().add_channel(map)
        self.server.channels.add(self)

    def del_channel(self, map: Any = None) -> None:
        super().del_channel(map)
        self.server.channels.discard(self)
        self.server.idle.pop(self, None)

    def readable(self) -> bool:
        return self.phase is not Phase.ANSWER

    def writable(self) -> bool:
        return bool(self.outgoing.unsent or self.outgoing.broken) or self._may_resume()

    def handle_read(self) -> None:
        data = self.recv(_RECEIVE)  # which closes at the client's end
        if self.phase is Phase.LINGER:
            self._discard(len(data))
        elif data:
            self.rest += data
            self._feed()

    def handle_write(self) -> None:
        self.outgoing.send(self.socket)
        if self.outgoing.broken:
            self.handle_close()
        else:
            self._go_on()

    def handle_error(self) -> None:
        LOG.exception("A connection failed")
        self.handle_close()

    def handle_close(self) -> None:
        with self.lock:
            self.outgoing.clear()
            self.close()
        self.rest = b""
        if self._arriving:
            self._arriving.close()
            self._arriving = None
        if self.task and self.paused:
            self.task.close()
        self.task = None

    # In the loop's thread

    def sweep(self) -> None:
        """Ends what is overdue; called about once a second."""
        if self.phase is Phase.ANSWER:
            if self.outgoing.is_overdue():
                self.handle_close()
        elif now() > self.deadline:
            self._end_wait()

    def is_quiet(self) -> bool:
        """Nothing is under way, and nothing has come in that was not read yet."""
        return self.phase in _IDLE and not self.has_unread()

    def refuse(self, task: Task, refusal: ProtocolError) -> None:
        """Answers, without a worker, the request that waits for one."""
        if task is self.task:
            self.task = None
            self._refuse(task.request, refusal)
        task.close()

    def abandon(self, refusal: ProtocolError) -> None:
        """The stop's time is over: what was not answered by now is told so, even if a worker is still at it."""
        if self.task:
            if self.task.claim():
                task, self.task = self.task, None
                self._refuse(task.request, refusal)
        elif self._arriving:
            self._fail(refusal)
        elif not self.outgoing.unsent:
            self.handle_close()

    def _feed(self) -> None:
        """Hands what has come in to the request that is arriving."""
        while self.rest and self.phase is not Phase.ANSWER:
            if self._arriving is None:
                self.rest = self.rest.lstrip(b"\r\n")  # some clients end a body with an empty line
                if not self.rest:
                    return
                self._arriving = RequestParser(self.server.bodies)
                self._enter(Phase.HEAD, HEAD_SECONDS)
            request = self._arriving
            self.rest = self.rest[request.received(self.rest) :]
            if request.error:
                self._fail(request.error)
            elif request.completed:
                self._arriving = None
                self._enter(Phase.ANSWER)
                self.task = Task(self, request)
                self.server.add_task(self.task)
            elif request.head and self.phase is Phase.HEAD:
                self._enter(Phase.BODY, BODY_SECONDS)
                if request.expect_continue:
                    self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _fail(self, refusal: ProtocolError) -> None:
        """Refuses the request that is arriving."""
        request, self._arriving = self._arriving, None
        assert request
        request.close()
        self._refuse(request, refusal)

    def _refuse(self, request: RequestParser, refusal: ProtocolError) -> None:
        self._enter(Phase.ANSWER)
        self._closes = self._refused = True
        self.send_refusal(refusal, request)
        self._go_on()

    def _enter(self, phase: Phase, seconds: float = inf) -> None:
        self.phase, self.deadline = phase, now() + seconds
        self.server.idle.pop(self, None)
        if phase in _IDLE:
            self.server.idle[self] = None

    def _end_wait(self) -> None:
        if self._arriving:
            self._fail(ProtocolError(408, LATE_HEAD if self.phase is Phase.HEAD else LATE_BODY))
        else:
            self.handle_close()

    def _may_resume(self) -> bool:
        if self.task is None or not self.paused or self.outgoing.unsent > LOW:
            return False
        return self.outgoing.has_room(len(self.task.waiting) or FULL)

    def _go_on(self) -> None:
        """Does what comes next in an answer: its next piece, the next request, or the end."""
        if self.phase is not Phase.ANSWER:
            return
        if self.task:
            if self._may_resume():
                self.paused = False
                self.server.add_task(self.task)
        elif not self.outgoing.unsent:
            if self._closes:
                self._close_gracefully()
            else:
                self._enter(Phase.IDLE, IDLE_SECONDS)
                self._feed()

    def _after_work(self, task: Task, done: bool) -> None:
        if task is not self.task:  # the connection was closed, or the loop has answered
            if not done:
                task.close()
            return
        if done:
            self.task = None
            self._closes, self._refused = task.closes, task.refused
        self.paused = not done
        self._go_on()

    def _close_gracefully(self) -> None:
        """Ends the connection; after a refusal it reads on for a while, since closing upon unread data is a reset."""
        if not self._refused:
            self.handle_close()
            return
        self.rest = b""
        self._enter(Phase.LINGER, LINGER_SECONDS)
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client is gone
            self.handle_close()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self.handle_close()

    # In either thread

    def worked(self, task: Task, done: bool) -> None:
        """A worker leaves the task: its answer is complete, or the client has to read first."""
        self.server.call_soon(partial(self._after_work, task, done))

    def write(self, data: bytes) -> None:
        """Sends what can be sent at once; the loop sends the rest. Aborted when the client is gone."""
        self.outgoing.add(data, self.socket)
        if self.outgoing.unsent or self.outgoing.broken:
            self.server.pull_trigger()

    def send_refusal(self, refusal: ProtocolError, request: RequestParser) -> None:
        method, path = request.said
        client = self.server.proxies.client(self.addr[0], request.head.headers if request.head else {})
        log_request(client.address, method, path, refusal.status, refusal.sentence)
        self.server.on_refusal(method, path, refusal.status, refusal.sentence, request.began)
        with suppress(Aborted):  # the client is gone
            self.write(refusal.answer(method))

    def ends_soon(self) -> bool:
        """The server stops, and no other request has come in."""
        return self.server.draining and not self.has_unread()

    def has_unread(self) -> bool:
        connection = self.socket
        try:
            return bool(self.rest or (connection and connection.recv(1, socket.MSG_PEEK)))
        except OSError:  # nothing there, or the client is gone
            return False

    def reset(self) -> None:
        """Has the connection end by a reset, whatever was sent."""
        with suppress(OSError):  # the client has gone by itself
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
