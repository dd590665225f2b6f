"""What an application may do to the connection of a request, beyond what WSGI has."""

import socket
import struct
from contextlib import suppress
from typing import Any, Literal, NoReturn

from waitress.channel import ClientDisconnected as Aborted

__all__ = ["CONNECTION", "Aborted", "abort"]

CONNECTION = "keva.connection"  # the key of the socket in a request's environ
_SEND_SECONDS = 5.0


def abort(environ: dict[str, Any], how: Literal["reset", "close", "partial"], partial: bytes = b"") -> NoReturn:
    """Ends the connection instead of answering: by a reset, cleanly, or after the bytes of a `partial` answer.

    Raises Aborted, which the channel takes for a client that has gone; no handler of exceptions may catch it.
    """
    connection: socket.socket = environ[CONNECTION]
    with suppress(OSError):  # the client has gone by itself
        if how == "reset":  # closing with a linger time of zero resets (socket(7), SO_LINGER)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "partial":
            connection.settimeout(_SEND_SECONDS)
            connection.sendall(partial)
    raise Aborted
