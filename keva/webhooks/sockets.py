"""Sockets with one deadline for all that is done with them, and HTTP connections made of them."""

# A timeout of the usual clients is for each operation, so that a receiver that sends a byte a second holds them for
# ever. Here each operation gets what is left until the deadline.

import http.client
import socket
import ssl
from contextlib import suppress
from functools import cache
from typing import Any

from keva.clocks import elapsed as now

MOST_READ = 64 * 1024  # bytes of one answer, its head included


class TooLong(OSError):
    """The answer is longer than anybody wants to read."""


class _TimedSocket(socket.socket):
    """`deadline` is when everything on it has to be over, `unread` how much of an answer may still be read."""

    deadline = 0.0
    unread = MOST_READ

    def connect(self, address: Any) -> None:
        self.limit()
        super().connect(address)

    def recv_into(self, *buffer: Any) -> int:
        if self.unread <= 0:
            raise TooLong
        self.limit()
        size = super().recv_into(*buffer)
        self.unread -= size
        return size

    def limit(self) -> None:
        """Gives the next operation what is left of the time."""
        left = self.deadline - now()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)


class _PlainSocket(_TimedSocket):
    def sendall(self, *data: Any) -> None:
        self.limit()
        super().sendall(*data)


class _TlsSocket(_TimedSocket, ssl.SSLSocket):
    def send(self, *data: Any) -> int:  # which its sendall calls for each piece
        self.limit()
        return super().send(*data)


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = _TlsSocket
    return context


class Connection(http.client.HTTPConnection):
    """To a host, over TLS if `secure`; each request on it ends at its deadline, and `cut` ends it from any thread."""

    auto_open = 0  # nothing but `open` connects
    sock: Any

    def __init__(self, secure: bool, host: str, port: int | None) -> None:
        self.default_port = 443 if secure else 80
        super().__init__(host, port or self.default_port)
        self._secure = secure
        self._socket: socket.socket | None = None  # which `sock` no longer is once an answer ends the connection
        self._is_cut = False
        self._unsent = b""

    def open(self, seconds: float) -> None:
        """Connects within so many seconds from when the name is known; the system may take any time for that."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        deadline = now() + seconds
        self.sock = self._connect_to_one_of(found, deadline)
        self.sock.deadline = deadline
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._secure:
            self.sock.limit()
            self.sock = self._socket = _tls().wrap_socket(self.sock, server_hostname=self.host)
            self.sock.deadline = deadline

    @property
    def is_open(self) -> bool:
        return self.sock is not None

    def reuse(self, seconds: float) -> None:
        """For another request, within so many seconds."""
        self.sock.deadline, self.sock.unread = now() + seconds, MOST_READ

    def send(self, data: Any) -> None:
        """Head and body go out together, with `getresponse`."""
        self._unsent += data

    def getresponse(self) -> http.client.HTTPResponse:
        unsent, self._unsent = self._unsent, b""
        self.sock.sendall(unsent)
        return super().getresponse()

    def cut(self) -> None:
        """Whatever is going on on it fails at once, and so does all that would begin."""
        self._is_cut = True
        if self._socket:
            with suppress(OSError):  # it is closed already, or was never connected
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own, which forgets the other thread

    def _connect_to_one_of(self, addresses: list[Any], deadline: float) -> _PlainSocket:
        """A socket to the first of the addresses that lets us in, with an equal share of the time for each."""
        for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            self._socket = opened = _PlainSocket(family, kind, protocol)
            opened.deadline = now() + (deadline - now()) / left
            try:
                if self._is_cut:
                    raise ConnectionAbortedError
                opened.connect(address)
            except OSError:
                opened.close()
                if left == 1 or self._is_cut:
                    raise
            else:
                return opened
        raise socket.gaierror("no address")
