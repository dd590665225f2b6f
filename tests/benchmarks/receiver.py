"""A receiver of webhooks that answers at once; GET tells how many deliveries came, and of how many events."""

import re
import socket
import sys
import threading

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"webhook-id: *(\S+)", re.IGNORECASE)
_seen: list[bytes] = []


def serve(connection: socket.socket) -> None:
    with connection:
        data = b""
        while piece := connection.recv(65536):
            data += piece
            while (end := data.find(b"\r\n\r\n")) >= 0:
                head, rest = data[:end], data[end + 4 :]
                length = _LENGTH.search(head)
                size = int(length[1]) if length else 0
                if len(rest) < size:
                    break
                data = rest[size:]
                connection.sendall(_answer(head))


def _answer(head: bytes) -> bytes:
    if head.startswith(b"GET"):
        told = b"%d %d" % (len(_seen), len(set(_seen)))
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told)
    found = _ID.search(head)
    _seen.append(found[1] if found else b"")
    return b"HTTP/1.1 204 No Content\r\n\r\n"


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), backlog=100)
    print(f"Listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=serve, args=(accepted,), daemon=True).start()
