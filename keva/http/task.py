"""One request in the application's hands, and its answer, made and sent piece by piece as the client reads."""

import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from waitress.utilities import build_http_date

from keva.http import hooks, refusals
from keva.http.hooks import Aborted
from keva.http.parser import RequestParser
from keva.http.refusals import ProtocolError
from keva.log import LOG

if TYPE_CHECKING:
    from keva.http.channel import Channel

AT_ONCE = 256 * 1024  # bytes of one answer, after which the next request has its turn
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
_WITHOUT_BODY = ("1", "204", "304")

_now = partial(time.time)  # a partial, because freezegun replaces the function in every module that holds it


class Task:
    """Asks the application in the first call of `run`, and goes on with a long answer in the next ones.

    Whoever first gets True from `claim` answers: the task, or the loop when the task took too long.
    """

    def __init__(self, channel: "Channel", request: RequestParser) -> None:
        assert request.head
        self.request, self._head = request, request.head
        self._channel = channel
        self.queued_at = 0.0
        self.begun = self.refused = False
        self.closes = False  # the connection ends with the answer
        self.waiting = b""  # a piece of the answer that is made and not yet sent
        self._claimed = False
        self._status, self._headers = "", list[tuple[str, str]]()
        self._answer: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] | None = None
        self._length: int | None = None  # of the body, where it is known
        self._written = 0
        self._wrote_head = self._chunked = False

    def service(self) -> None:
        """Does what can be done now; in a worker's thread."""
        done = self.run() if self._channel.connected else True
        if done:
            self.close()
        self._channel.worked(self, done)

    def run(self) -> bool:
        """True once the answer is complete; False when the client has to read first."""
        self.begun = True
        try:
            return self._go_on()
        except ProtocolError as refusal:
            self._refuse(refusal)
        except Aborted:
            self._cut()
        except BaseException:
            LOG.exception("%s %s failed", *self.request.said)
            if self._wrote_head:
                self._cut()
            else:
                self._refuse(ProtocolError(500, refusals.CRASHED))
        return True

    def refuse(self, refusal: ProtocolError) -> None:
        """Answers what no worker has begun; in the loop's thread."""
        self._channel.refuse(self, refusal)

    def claim(self) -> bool:
        with self._channel.lock:
            first = not self._claimed
            self._claimed = True
            return first

    def close(self) -> None:
        """Lets go of the application's answer and of the request, whoever has the task last."""
        try:
            if close := getattr(self._answer, "close", None):
                close()
        except Exception:
            LOG.exception("%s %s failed while its answer was closed", *self.request.said)
        finally:
            self.request.close()

    def _go_on(self) -> bool:
        if self._pieces is None:
            self._ask()
        end_of_turn = self._written + AT_ONCE
        while self._make_piece():
            if not self._reserve(len(self.waiting)):
                return False
            piece, self.waiting = self.waiting, b""
            self._write(piece)
            if self._written == self._length:
                break
            if self._written >= end_of_turn or not self._channel.outgoing.takes_more():
                return False
        self._finish()
        return True

    def _ask(self) -> None:
        self._answer = self._channel.server.application(self._environ(), self._start_response)
        self._pieces = iter(self._answer)
        self._make_piece()
        assert self._status, "start_response was not called"
        if self._length is None and isinstance(self._answer, list):
            self._length = sum(map(len, self._answer))
            self._headers.append(("Content-Length", str(self._length)))
        if self._head.method == "HEAD" or self._status.startswith(_WITHOUT_BODY):
            self._pieces, self.waiting = iter(()), b""

    def _make_piece(self) -> bool:
        """Has the application make the next piece, unless one is waiting; False at the end."""
        assert self._pieces is not None
        while not self.waiting:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self.waiting = piece
        return True

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if self._wrote_head and exc_info:
            raise exc_info[1]
        assert exc_info or not self._status, "start_response was called twice"
        self._status, self._headers = status, list(headers)
        for name, value in headers:
            if name.lower() == "content-length":
                self._length = int(value)
            assert name.lower() not in _HOP_BY_HOP, f"{name} is the connection's own"
        return self._write_at_once

    def _write_at_once(self, data: bytes) -> None:
        """What start_response gives: an older way to answer, which does not wait for the client."""
        self._channel.outgoing.overdraw(len(data))
        self._write(data)

    def _reserve(self, size: int) -> bool:
        """False when the piece has to wait for room; what is answered once something was stored does not."""
        if self._channel.outgoing.reserve(size):
            return True
        if self._wrote_head:
            return False
        if self._head.method in ("GET", "HEAD"):
            raise ProtocolError(503, refusals.TOO_MANY_ANSWERS)
        self._channel.outgoing.overdraw(size)
        return True

    def _write(self, piece: bytes) -> None:
        if self._length is not None:
            piece = piece[: self._length - self._written]
        self._written += len(piece)
        head = b"" if self._wrote_head else self._begin()  # which leaves in one packet with the piece
        if self._chunked:
            piece = b"%X\r\n%b\r\n" % (len(piece), piece)
        self._channel.write(head + piece)

    def _finish(self) -> None:
        if not self._wrote_head:
            self._channel.write(self._begin())
        elif self._chunked:
            self._channel.write(b"0\r\n\r\n")
        if self._length is not None and self._written < self._length and self._has_body():
            LOG.error("%s %s was answered with less than its Content-Length", *self.request.said)
            self.closes = True

    def _has_body(self) -> bool:
        return self._head.method != "HEAD" and not self._status.startswith(_WITHOUT_BODY)

    def _begin(self) -> bytes:
        """The head of the answer."""
        if not self.claim():
            raise Aborted
        self._wrote_head = True
        headers = self._headers
        options = {option.strip(" \t").lower() for option in self._head.headers.get("CONNECTION", "").split(",")}
        keeps = "close" not in options and (self._head.version == "1.1" or "keep-alive" in options)
        if self._length is None and not self._status.startswith(_WITHOUT_BODY):
            if self._head.version == "1.1":
                headers.append(("Transfer-Encoding", "chunked"))
                self._chunked = self._has_body()
            else:
                keeps = False
        if not keeps or self._channel.ends_soon():
            self.closes = True
            headers.append(("Connection", "close"))
        elif self._head.version == "1.0":
            headers.append(("Connection", "Keep-Alive"))
        if not any(name.lower() == "date" for name, _ in headers):
            headers.append(("Date", build_http_date(_now())))
        return _head_text(f"HTTP/{self._head.version} {self._status}", headers)

    def _refuse(self, refusal: ProtocolError) -> None:
        self.closes = True
        if self.claim():
            self.refused = True
            self._channel.send_refusal(refusal, self.request)

    def _cut(self) -> None:
        """Ends the connection in the middle; by a reset, where the client would take the end for that of the answer."""
        self.closes = True
        if self._wrote_head and self._length is None and not self._chunked:
            self._channel.reset()

    def _environ(self) -> dict[str, Any]:
        head, server, channel = self._head, self._channel.server, self._channel
        client = server.proxies.client(channel.addr[0], head.headers)
        script_name, path = _split(head.path, server.url_prefix)
        environ = {
            "REMOTE_ADDR": client.address,
            "REMOTE_HOST": client.address,
            "REMOTE_PORT": str(channel.addr[1]),
            "REQUEST_METHOD": head.method,
            "SERVER_PORT": str(server.effective_port),
            "SERVER_NAME": server.server_name,
            "SERVER_PROTOCOL": f"HTTP/{head.version}",
            "SCRIPT_NAME": script_name,
            "PATH_INFO": path,
            "REQUEST_URI": head.target,
            "QUERY_STRING": head.query,
            "wsgi.url_scheme": client.scheme,
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input": self.request.body,
            "wsgi.input_terminated": True,
            hooks.BEGAN: self.request.began,
            hooks.CONNECTION: channel.socket,
            hooks.WAITING: server.task_dispatcher.waiting,
        }
        for name, value in head.headers.items():
            environ[name if name in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{name}"] = value
        return environ


def _split(path: str, prefix: str) -> tuple[str, str]:
    """What of it stands before the application's own path: the prefix or, for who calls without it, nothing."""
    if prefix and path == prefix:
        return prefix, "/"
    return (prefix, path[len(prefix) :]) if prefix and path.startswith(f"{prefix}/") else ("", path)


def _head_text(first_line: str, headers: list[tuple[str, str]]) -> bytes:
    lines = [first_line, *(f"{name}: {value}" for name, value in headers)]
    text = "\r\n".join([*lines, "\r\n"])
    if text.count("\n") != len(lines) + 1 or text.count("\r") != len(lines) + 1:
        raise ValueError("a header holds an end of line")
    return text.encode("latin-1")
