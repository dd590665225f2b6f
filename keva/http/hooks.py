"""What an application may do beyond WSGI: cut its connection, or wait without keeping others from a thread."""

import socket
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Literal, NoReturn

__all__ = ["BEGAN", "CONNECTION", "WAITING", "Aborted", "abort", "waiting"]

BEGAN = "keva.began"  # the key of when a request's first byte came, by `clocks.elapsed`
CONNECTION = "keva.connection"  # the key of the socket in a request's environ
WAITING = "keva.waiting"  # the key of what makes the context of `waiting`
_SEND_SECONDS = 5.0


class Aborted(Exception):
    """The connection of a request ends without an answer, or has ended; no handler of exceptions may catch it."""


def abort(environ: dict[str, Any], how: Literal["reset", "close", "partial"], partial: bytes = b"") -> NoReturn:
    """Ends the connection instead of answering: by a reset, cleanly, or after the bytes of a `partial` answer."""
    connection: socket.socket = environ[CONNECTION]
    with suppress(OSError):  # the client has gone by itself
        if how == "reset":  # closing with a linger time of zero resets (socket(7), SO_LINGER)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            if how == "partial":
                connection.settimeout(_SEND_SECONDS)
                connection.sendall(partial)
            connection.shutdown(socket.SHUT_RDWR)  # a forked process may hold a copy, and closing is not the end then
    raise Aborted


def waiting(environ: dict[str, Any]) -> AbstractContextManager[None]:
    """While the block lasts, which may only wait, another thread answers requests in place of this one."""
    make: Callable[[], AbstractContextManager[None]] = environ.get(WAITING, nullcontext)
    return make()
