"""One request as it comes in: its head, its body, and how much of both may be held."""

import re
from io import BytesIO

from keva.clocks import elapsed as now
from keva.http import refusals
from keva.http.bodies import ChunkedBody, SizedBody
from keva.http.budget import Budget
from keva.http.head import Head, read_head
from keva.http.refusals import ProtocolError
from keva.limits import BODY_TOO_LARGE, MAX_BODY

MAX_HEAD = 32 * 1024
# What small requests hold, and the beginnings of others, is bounded by the number of connections, and a few large
# ones under way must not keep them out: only what is beyond counts in the budget.
SMALL_REQUEST = 16 * 1024
_PARSED = 2  # times its size is what a head takes once it is read

_TLS_HANDSHAKE = 0x16
_END = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_MOST_DIGITS = 19


class RequestParser:
    """Takes a request as it comes; once `completed`, it is whole, or `error` says why it never will be."""

    def __init__(self, budget: Budget) -> None:
        self.completed = False
        self.error: ProtocolError | None = None
        self.head: Head | None = None
        self.expect_continue = False
        self.began = now()  # its first byte came
        self._budget, self._held, self._head_size = budget, 0, 0
        self._raw = bytearray()  # of the head, until it is whole
        self._body: SizedBody | ChunkedBody | None = None

    @property
    def said(self) -> tuple[str, str]:
        """Method and path for the log, as far as they can be told."""
        if self.head:
            return self.head.method[:20], self.head.target.partition("?")[0][:200]
        words = self._raw.partition(b"\r\n")[0].decode("latin-1").split(" ")
        return (words[0][:20], words[1].partition("?")[0][:200]) if len(words) > 1 else ("-", "-")

    @property
    def body(self) -> BytesIO:
        """The whole body, to be read from its start."""
        if self._body is None:
            return BytesIO()
        self._body.file.seek(0)
        return self._body.file

    def received(self, data: bytes) -> int:
        """Takes what belongs to this request, and gives how much that was."""
        try:
            return self._receive_body(data) if self._body else self._receive_head(data)
        except ProtocolError as refusal:
            self.fail(refusal)
            return len(data)

    def fail(self, refusal: ProtocolError) -> None:
        self.error, self.completed = refusal, True
        self.close()

    def close(self) -> None:
        """Lets go of what is held."""
        self._body = None
        self._budget.release(self._held)
        self._held = 0

    def _receive_head(self, data: bytes) -> int:
        before = len(self._raw)
        self._raw += data
        if self._raw[0] == _TLS_HANDSHAKE:
            raise ProtocolError(400, refusals.NOT_TLS)
        # Only what is new is looked at, however small the pieces are in which a head comes.
        end = self._raw.find(_END, max(0, before - len(_END) + 1))
        size = end + len(_END) if end >= 0 else len(self._raw)
        if size > MAX_HEAD:
            raise ProtocolError(431, refusals.HEAD_TOO_LARGE)
        if end < 0:
            if _BARE_LF.search(self._raw, before):
                raise ProtocolError(400, refusals.BARE_LINE_END)
            return len(data)
        self.head = read_head(bytes(self._raw[:end]))
        self._raw.clear()
        self._expect_body(self.head)
        self._head_size = _PARSED * size
        self._hold(self._head_size)
        return size - before

    def _expect_body(self, head: Head) -> None:
        coding, length = head.headers.pop("TRANSFER_ENCODING", None), head.headers.get("CONTENT_LENGTH")
        if coding is not None:
            if length is not None or head.version == "1.0":
                raise ProtocolError(400, refusals.TWO_LENGTHS)
            if coding.lower() != "chunked":
                raise ProtocolError(400, refusals.BAD_CODING)
            self._body = ChunkedBody()
        elif size := _size(length):
            self._body = SizedBody(size)
        self.completed = self._body is None
        self.expect_continue = head.version == "1.1" and head.headers.get("EXPECT", "").lower() == "100-continue"

    def _receive_body(self, data: bytes) -> int:
        body, head = self._body, self.head
        assert body
        assert head
        taken = body.received(data)
        self._hold(self._head_size + body.length)
        if body.completed:
            self.completed = True
            head.headers["CONTENT_LENGTH"] = str(body.length)
        return taken

    def _hold(self, size: int) -> None:
        more = size - SMALL_REQUEST - self._held
        if more > 0:
            if not self._budget.reserve(more):
                raise ProtocolError(503, refusals.TOO_MANY_BODIES)
            self._held += more


def _size(length: str | None) -> int:
    """The number of bytes that Content-Length announces."""
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()):
        raise ProtocolError(400, refusals.BAD_LENGTH)
    digits = length.lstrip("0") or "0"
    if len(digits) > _MOST_DIGITS or int(digits) > MAX_BODY:
        raise ProtocolError(413, BODY_TOO_LARGE)
    return int(digits)
